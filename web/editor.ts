/** The editor: Quill bound to a document's text by y-quill, with the cursors of the others in it. */
import Quill, { Delta, type Range } from 'quill/core';
import { AlignClass } from 'quill/formats/align';
import { BackgroundStyle } from 'quill/formats/background';
import Blockquote from 'quill/formats/blockquote';
import Bold from 'quill/formats/bold';
import CodeBlock, { Code as InlineCode } from 'quill/formats/code';
import { ColorStyle } from 'quill/formats/color';
import { DirectionClass } from 'quill/formats/direction';
import { FontClass } from 'quill/formats/font';
import Header from 'quill/formats/header';
import Image from 'quill/formats/image';
import Indent from 'quill/formats/indent';
import Italic from 'quill/formats/italic';
import Link from 'quill/formats/link';
import List from 'quill/formats/list';
import Script from 'quill/formats/script';
import { SizeClass } from 'quill/formats/size';
import Strike from 'quill/formats/strike';
import Underline from 'quill/formats/underline';
import Toolbar from 'quill/modules/toolbar';
import * as cursors from 'quill-cursors/core';
import { QuillBinding } from 'y-quill';
import { UndoManager } from 'yjs';
import { askText } from './dialogs.ts';
import type { LiveDocument } from './live-document.ts';
import { keepInStep, type SharedHistory, SharedQuill } from './shared-quill.ts';

/** It comes as CommonJS, which a bundler hands over as Node.js would: the default export stands one step further in. */
const QuillCursors = (cursors.default as unknown as typeof cursors).default;

Quill.register({
  'modules/toolbar': Toolbar,
  'modules/cursors': QuillCursors,
  'formats/align': AlignClass,
  'formats/background': BackgroundStyle,
  'formats/blockquote': Blockquote,
  'formats/bold': Bold,
  'formats/code': InlineCode,
  'formats/code-block': CodeBlock,
  'formats/color': ColorStyle,
  'formats/direction': DirectionClass,
  'formats/font': FontClass,
  'formats/header': Header,
  'formats/image': Image,
  'formats/indent': Indent,
  'formats/italic': Italic,
  'formats/link': Link,
  'formats/list': List,
  'formats/script': Script,
  'formats/size': SizeClass,
  'formats/strike': Strike,
  'formats/underline': Underline,
});

/** Tab leaves the editor, as it leaves every other field: who has no mouse must get on. Lists are indented by the bar. */
const NO_TAB = Object.fromEntries(
  ['tab', 'indent', 'outdent', 'indent code-block', 'outdent code-block', 'remove tab'].map((name) => [name, null]),
);

/** How long a cursor that moved shows its name. */
const NAMED_MS = 2_500;

/** What the editor needs around it. */
export interface EditorParts {
  /** Becomes the editor. */
  readonly host: HTMLElement;
  readonly bar: HTMLElement;
  readonly live: LiveDocument;
  /** Tells the one who types something. */
  say(message: string): void;
}

/** See the head of this file. */
export class Editor {
  readonly #quill: SharedQuill;
  readonly #binding: QuillBinding;
  readonly #undo: UndoManager;
  readonly #flags: CursorFlags;
  readonly #leaveStep: () => void;

  constructor({ host, bar, live, say }: EditorParts) {
    const noFiles = (): void => say('Pictures and files cannot be put into a document here yet.');
    this.#quill = new SharedQuill(host, {
      placeholder: 'Write something …',
      modules: {
        toolbar: {
          container: bar,
          handlers: {
            link: (value: unknown) => void this.#link(value !== false),
            undo: () => this.#history.undo(),
            redo: () => this.#history.redo(),
          },
        },
        cursors: { transformOnTextChange: false },
        keyboard: { bindings: NO_TAB },
        uploader: { mimetypes: ['image/png', 'image/jpeg', 'image/gif', 'image/webp'], handler: noFiles },
      },
    });
    const { root, clipboard, keyboard } = this.#quill;
    root.id = 'text';
    root.setAttribute('role', 'textbox');
    root.setAttribute('aria-multiline', 'true');
    root.setAttribute('aria-label', 'Text of the document');
    clipboard.addMatcher('img', () => {
      noFiles();
      return new Delta();
    });
    keyboard.addBinding({ key: 'k', shortKey: true }, () => void this.#link(true));
    root.addEventListener('click', openLink);
    this.#binding = new QuillBinding(live.text, this.#quill, live.provider.awareness);
    this.#leaveStep = keepInStep(this.#quill, live.text, this.#binding);
    this.#undo = new UndoManager(live.text, { trackedOrigins: new Set([this.#binding]) });
    this.#history.manager = this.#undo;
    this.#flags = new CursorFlags(live, this.#quill.getModule('cursors') as InstanceType<typeof QuillCursors>);
    const style = bar.querySelector('select');
    // Without a selection Quill leaves the list of styles blank.
    this.#quill.on('editor-change', () => {
      if (style?.selectedIndex === -1 && this.#quill.selection.lastRange === null) style.selectedIndex = 0;
    });
  }

  /** Whether somebody may type. */
  set editable(editable: boolean) {
    this.#quill.enable(editable);
    this.#quill.root.setAttribute('aria-readonly', String(!editable));
  }

  /** The text as it stands here, without its formatting. */
  get text(): string {
    return this.#quill.getText();
  }

  /** Puts the cursor into the text. */
  focus(): void {
    this.#quill.focus();
  }

  /** Unbinds it from the document. */
  destroy(): void {
    this.#flags.destroy();
    this.#leaveStep();
    this.#undo.destroy();
    this.#binding.destroy();
    this.#quill.disable();
  }

  get #history(): SharedHistory {
    return this.#quill.history as unknown as SharedHistory;
  }

  async #link(wanted: boolean): Promise<void> {
    const range = this.#quill.getSelection(true);
    if (!this.#quill.isEnabled()) return;
    if (!wanted) {
      this.#quill.format('link', false, 'user');
      return;
    }
    const present = this.#quill.getFormat(range).link;
    const value = typeof present === 'string' ? present : 'https://';
    const address = await askText({ title: 'Link', label: 'Address', value, action: 'Set link', type: 'url' });
    if (address !== null) this.#setLink(range, address);
  }

  #setLink(range: Range, address: string): void {
    const quill = this.#quill;
    if (range.length > 0) quill.formatText(range.index, range.length, 'link', address, 'user');
    else quill.insertText(range.index, address, 'link', address, 'user');
    quill.setSelection(range.index + (range.length || address.length), 0, 'user');
  }
}

/** Whoever moves is named for a moment: quill-cursors by itself names a cursor only under the mouse. */
class CursorFlags {
  readonly #timers = new Map<number, ReturnType<typeof setTimeout>>();

  constructor(
    private readonly live: LiveDocument,
    private readonly cursors: InstanceType<typeof QuillCursors>,
  ) {
    live.provider.awareness.on('change', this.#changed);
  }

  destroy(): void {
    this.live.provider.awareness.off('change', this.#changed);
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }

  readonly #changed = ({ added, updated }: { added: number[]; updated: number[] }): void => {
    for (const client of [...added, ...updated]) {
      if (client === this.live.doc.clientID) continue;
      clearTimeout(this.#timers.get(client));
      this.cursors.toggleFlag(String(client), true);
      const hide = (): void => {
        this.#timers.delete(client);
        this.cursors.toggleFlag(String(client), false);
      };
      this.#timers.set(client, setTimeout(hide, NAMED_MS));
    }
  };
}

/** In a text that can be edited a click sets the cursor; with Ctrl or Cmd it follows the link. */
function openLink(event: MouseEvent): void {
  const link = (event.target as Element).closest('a');
  if (link === null || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  window.open(link.href, '_blank', 'noopener');
}
