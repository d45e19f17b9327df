/** Elements, said in one line. */

/** Attributes and, by names such as `onclick`, listeners. False, null and undefined leave an attribute out; true sets it empty. */
export type Props = Readonly<Record<string, unknown>>;

/** What an element may hold; false and null are left out. */
export type Content = Node | string | false | null;

/** Makes an element. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  props: Props = {},
  ...content: readonly Content[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value as EventListener);
    else if (value !== false && value !== null && value !== undefined)
      element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...content.filter((part) => part !== false && part !== null));
  return element;
}

/** Strokes on a grid of 24, drawn for this page. */
const ICONS = {
  back: '<path d="M15 5l-7 7 7 7"/>',
  plus: '<path d="M12 5v14M5 12h14"/>',
  close: '<path d="M6 6l12 12M18 6L6 18"/>',
  share: '<circle cx="9" cy="8" r="3.5"/><path d="M3 19c.6-3.4 3-5 6-5s5.4 1.6 6 5M18 8v6M15 11h6"/>',
  bold: '<path d="M7 5h6a3.5 3.5 0 010 7H7zM7 12h7a3.5 3.5 0 010 7H7z"/>',
  italic: '<path d="M14 5l-4 14M10 5h7M7 19h7"/>',
  underline: '<path d="M7 4v7a5 5 0 0010 0V4M6 20h12"/>',
  strike:
    '<path d="M4 12h16M16.5 7.5C16 5.600 14.300 4.500 12 4.500c-2.600 0-4.500 1.300-4.500 3.500 0 1 .4 1.800 1.200 2.400M7.300 16.300c.6 2 2.400 3.200 4.700 3.200 2.700 0 4.600-1.400 4.600-3.700 0-.6-.1-1.100-.4-1.600"/>',
  code: '<path d="M8.500 7L4 12l4.500 5M15.500 7L20 12l-4.500 5"/>',
  link: '<path d="M10 14a4 4 0 006 .4l3-3a4 4 0 00-5.700-5.700l-1 1M14 10a4 4 0 00-6-.4l-3 3a4 4 0 005.700 5.700l1-1"/>',
  bullets: '<path d="M9 6h11M9 12h11M9 18h11"/><path d="M4.500 6h.01M4.500 12h.01M4.500 18h.01" stroke-width="3"/>',
  numbers:
    '<path d="M10 6h10M10 12h10M10 18h10M4 4.500L5.500 4v4.500M4 15.500c.3-.7 1-1 1.600-1 .8 0 1.400.5 1.400 1.200 0 1.200-3 2-3 3.800h3"/>',
  checks: '<path d="M11 6h9M11 18h9M3.500 6l1.500 1.500L8 4.500M3.500 18l1.500 1.500L8 16.500"/>',
  quote: '<path d="M10 8H5v6h4.500zM10 8v4c0 2.500-1.500 4-4 4.500M19 8h-5v6h4.500zM19 8v4c0 2.500-1.500 4-4 4.500"/>',
  block:
    '<rect x="3.500" y="5" width="17" height="14" rx="2"/><path d="M9 9.500L6.500 12 9 14.500M15 9.500l2.500 2.500-2.500 2.500"/>',
  outdent: '<path d="M4 5h16M11 10h9M11 14h9M4 19h16M7.500 9.500L5 12l2.500 2.500"/>',
  indent: '<path d="M4 5h16M11 10h9M11 14h9M4 19h16M5 9.500L7.500 12 5 14.500"/>',
  clean: '<path d="M6 5h12M12 5l-2 10M5 19h7M15 15l5 5M20 15l-5 5"/>',
  undo: '<path d="M9 6L4.500 10.500 9 15M5 10.500h9a5 5 0 010 10h-3"/>',
  redo: '<path d="M15 6l4.500 4.500L15 15M19 10.500h-9a5 5 0 000 10h3"/>',
} as const;

/** Draws an icon; it says nothing to a screen reader, so its button needs a label. */
export function icon(name: keyof typeof ICONS): SVGSVGElement {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  svg.innerHTML = ICONS[name];
  return svg;
}

/** The moment in words that fit a list: the time of today, else the date. */
export function momentInWords(iso: string): string {
  const at = new Date(iso);
  const today = at.toDateString() === new Date().toDateString();
  return today
    ? at.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' })
    : at.toLocaleDateString(undefined, { day: 'numeric', month: 'short', year: 'numeric' });
}
