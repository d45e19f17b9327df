/** The formatting bar. Its buttons carry the class names by which Quill's toolbar module finds them. */
import { h, icon } from './dom.ts';

type Icon = Parameters<typeof icon>[0];
/** Class after `ql-`, icon, label, value. */
type Tool = readonly [format: string, icon: Icon, label: string, value?: string];

const GROUPS: readonly (readonly Tool[])[] = [
  [
    ['bold', 'bold', 'Bold'],
    ['italic', 'italic', 'Italic'],
    ['underline', 'underline', 'Underline'],
    ['strike', 'strike', 'Strikethrough'],
    ['code', 'code', 'Code'],
    ['link', 'link', 'Link'],
  ],
  [
    ['list', 'bullets', 'Bulleted list', 'bullet'],
    ['list', 'numbers', 'Numbered list', 'ordered'],
    ['list', 'checks', 'Checklist', 'unchecked'],
    ['indent', 'outdent', 'Less indent', '-1'],
    ['indent', 'indent', 'More indent', '+1'],
  ],
  [
    ['blockquote', 'quote', 'Quote'],
    ['code-block', 'block', 'Code block'],
    ['clean', 'clean', 'Clear formatting'],
  ],
  [
    ['undo', 'undo', 'Undo'],
    ['redo', 'redo', 'Redo'],
  ],
];

const HEADINGS: readonly (readonly [value: string, label: string])[] = [
  ['', 'Text'],
  ['1', 'Heading 1'],
  ['2', 'Heading 2'],
  ['3', 'Heading 3'],
];

/** Makes the bar. The arrow keys move within it, so that Tab passes it in one step. */
export function toolbar(): HTMLElement {
  const headings = h(
    'select',
    { class: 'ql-header', 'aria-label': 'Paragraph style' },
    ...HEADINGS.map(([value, label]) => h('option', { value, selected: value === '' }, label)),
  );
  const bar = h(
    'div',
    { class: 'toolbar', role: 'toolbar', 'aria-label': 'Formatting', 'aria-controls': 'text', onkeydown: move },
    h('span', { class: 'group' }, headings),
    ...GROUPS.map((tools) => h('span', { class: 'group' }, ...tools.map(button))),
  );
  for (const [i, control] of controls(bar).entries()) control.tabIndex = i === 0 ? 0 : -1;
  return bar;
}

function button([format, image, label, value]: Tool): HTMLElement {
  return h('button', { type: 'button', class: `ql-${format}`, value, title: label, 'aria-label': label }, icon(image));
}

function controls(bar: HTMLElement): HTMLElement[] {
  return [...bar.querySelectorAll<HTMLElement>('button, select')];
}

function move(event: KeyboardEvent): void {
  const all = controls(event.currentTarget as HTMLElement);
  const at = all.indexOf(document.activeElement as HTMLElement);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
  const next = to === undefined || at < 0 ? undefined : all[(to + all.length) % all.length];
  if (next === undefined) return;
  event.preventDefault();
  for (const control of all) control.tabIndex = control === next ? 0 : -1;
  next.focus();
}
