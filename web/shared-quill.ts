/**
 * Quill, made to live with texts that others write. y-quill gives the editor what is in the document and the document what
 * the editor says it changed, position for position; so three things must hold that Quill alone does not promise.
 *
 *   - Whatever comes takes the same number of positions in the editor as in the text. Embeds that this editor does not
 *     know would make it throw, and it drops carriage returns: the former become placeholders, the latter a mark of no
 *     width.
 *   - What leaves tears no surrogate pair. Quill finds out what was typed by comparing code units, and matches the halves
 *     of two different emoji; Yjs makes a replacement character of each half.
 *   - Undo takes back one's own edits only, even among those of others. Quill's own history knows one editor; Yjs knows
 *     whose each edit is.
 */

import Embed from 'quill/blots/embed';
import Quill, { type Delta, type EmitterSource, Module, type Op } from 'quill/core';
import type { Transaction, UndoManager, Text as YText } from 'yjs';
import { difference } from '../client/delta.ts';

/** Embeds that the editor shows as they are. */
const KNOWN_EMBEDS = new Set(['image', 'foreign']);
const NO_WIDTH = '\u200b';

/** An embed of another editor: takes its one position and says what it is. */
class ForeignEmbed extends Embed {
  static override blotName = 'foreign';
  static override tagName = 'SPAN';
  static override className = 'foreign';
  static readonly #values = new WeakMap<Node, unknown>();

  static override create(value: unknown): Node {
    const node = Embed.create.call(ForeignEmbed, value) as HTMLElement;
    const kind = (typeof value === 'object' && value !== null && Object.keys(value)[0]) || 'object';
    node.dataset.kind = kind;
    node.textContent = kind === 'divider' ? '' : kind;
    ForeignEmbed.#values.set(node, value);
    return node;
  }

  static override value(node: Node): unknown {
    return ForeignEmbed.#values.get(node);
  }
}

/** Undo and redo of one's own edits, in the place and on the keys of Quill's history. */
export class SharedHistory extends Module {
  manager: UndoManager | null = null;

  constructor(quill: Quill, options?: object) {
    super(quill, options);
    const undo = (): void => this.undo();
    const redo = (): void => this.redo();
    quill.keyboard.addBinding({ key: 'z', shortKey: true }, undo);
    quill.keyboard.addBinding({ key: ['z', 'Z'], shortKey: true, shiftKey: true }, redo);
    quill.keyboard.addBinding({ key: 'y', shortKey: true }, redo);
    // Menus and on-screen keyboards.
    quill.root.addEventListener('beforeinput', (event) => {
      if (event.inputType !== 'historyUndo' && event.inputType !== 'historyRedo') return;
      event.preventDefault();
      if (event.inputType === 'historyUndo') undo();
      else redo();
    });
  }

  undo(): void {
    if (this.quill.isEnabled()) this.manager?.undo();
  }

  redo(): void {
    if (this.quill.isEnabled()) this.manager?.redo();
  }

  /** Quill says that what comes next is to be undone by itself. */
  cutoff(): void {
    this.manager?.stopCapturing();
  }

  /** Quill begins with this. */
  clear(): void {
    this.manager?.clear();
  }
}

Quill.register({ 'formats/foreign': ForeignEmbed, 'modules/history': SharedHistory }, true);

/** See the head of this file. */
export class SharedQuill extends Quill {
  constructor(host: HTMLElement, options: ConstructorParameters<typeof Quill>[1]) {
    super(host, options);
    const { editor } = this;
    const update = editor.update.bind(editor);
    editor.update = (...args) => {
      const before = editor.delta;
      const change = update(...args);
      return tearsPair(before, change) ? difference(before, editor.delta) : change;
    };
  }

  override setContents(delta: Delta | Op[], source?: EmitterSource): Delta {
    return super.setContents(shown(delta), source);
  }

  override updateContents(delta: Delta | Op[], source?: EmitterSource): Delta {
    return super.updateContents(shown(delta), source);
  }
}

/**
 * Keeps the last line the same everywhere. Quill ends every text with a line break; a `Y.Text` may end without one, and
 * then the editor has one more. So when a line break comes to the end of such a text from elsewhere, it takes the place
 * of the editor's own; and when it is typed here, the editor's own becomes part of the text, or the others would not see
 * the new line. Should the two ever differ in length in another way, the editor starts afresh from the text: what it said
 * of positions would be false from then on.
 *
 * Call it after the binding was made, whose `origin` its transactions have. Returns what ends it.
 */
export function keepInStep(quill: Quill, text: YText, origin: unknown): () => void {
  const after = (_event: unknown, transaction: Transaction): void => {
    const surplus = quill.getLength() - text.length;
    const source = origin as EmitterSource;
    if (surplus !== 0 && surplus !== 1) quill.setContents(text.toDelta(), source);
    else if (surplus === 1 && quill.getText(quill.getLength() - 2, 1) === '\n') {
      if (transaction.origin === origin) text.doc?.transact(() => text.insert(text.length, '\n', {}), origin);
      else quill.deleteText(quill.getLength() - 1, 1, source);
    }
  };
  text.observe(after);
  return () => text.unobserve(after);
}

function shown(delta: Delta | Op[]): Op[] {
  return (Array.isArray(delta) ? delta : delta.ops).map((op) => {
    const { insert } = op;
    if (typeof insert === 'string')
      return insert.includes('\r') ? { ...op, insert: insert.replaceAll('\r', NO_WIDTH) } : op;
    if (insert === undefined || insert === null) return op;
    const [kind = ''] = Object.keys(insert);
    return KNOWN_EMBEDS.has(kind) ? op : { ...op, insert: { foreign: plain(insert) } };
  });
}

/** A Yjs type as an embed is a live thing; of that the placeholder needs nothing. */
function plain(insert: object): object {
  return Object.getPrototypeOf(insert) === Object.prototype ? insert : {};
}

/** Whether the change begins or ends a retain or a delete between the halves of a pair. */
function tearsPair(before: Delta, change: Delta): boolean {
  const boundaries: number[] = [0];
  for (const op of change.ops) {
    const step = op.delete ?? (typeof op.retain === 'number' ? op.retain : 0);
    boundaries.push((boundaries.at(-1) ?? 0) + step);
  }
  let start = 0;
  let at = 0;
  for (const { insert } of before.ops) {
    const text = typeof insert === 'string' ? insert : ' ';
    for (let boundary = boundaries[at]; boundary !== undefined && boundary < start + text.length; ) {
      if (
        /^[\ud800-\udbff][\udc00-\udfff]/.test(text.slice(Math.max(boundary - start - 1, 0), boundary - start + 1)) &&
        boundary > start
      )
        return true;
      at += 1;
      boundary = boundaries[at];
    }
    start += text.length;
  }
  return false;
}
