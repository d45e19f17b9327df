/**
 * Building a document's ops piece by piece, as every import does. The invariant: neighbours with the same attributes are
 * one op, no op is empty, and none has an empty attributes object, so that equal documents have equal ops.
 */
import type { Attributes, DeltaOp, DeltaOps, Embed, JsonValue } from './delta.ts';
import { CONTENT_LIMITS } from './limits.ts';

/** The embeds that stand on a line of their own: they need no line break around them, as in Quill. */
const BLOCK_EMBEDS: ReadonlySet<string> = new Set(['divider', 'video']);

const PARTS_MAX = 4096;

/** Thrown out of an import that makes more than `document_ops_max` ops; an exception, since it ends a parser's run. */
export class TooManyOps extends Error {
  override readonly name = 'TooManyOps';
}

/** See the head of this file. Its methods throw {@link TooManyOps}. */
export class DocumentBuilder {
  readonly #ops: DeltaOps = [];
  /** The op that is open, in parts: millions of concatenations would each be kept until the string is first read. */
  #parts: string[] = [];
  #text = '';
  #attributes: Attributes | undefined = undefined;
  /** Whether a block embed is the last thing so far. */
  #ends_in_block = false;

  /** Appends text; a document's line ends with `\n`, whose attributes are the line's. */
  text(text: string, attributes?: Attributes): void {
    if (text === '') return;
    if (!sameAttributes(attributes, this.#attributes)) {
      this.#flush();
      this.#attributes = attributes;
    }
    this.#parts.push(text);
    if (this.#parts.length >= PARTS_MAX) this.#join();
    this.#ends_in_block = false;
  }

  embed(embed: Embed, attributes?: Attributes): void {
    this.#flush();
    this.#push(isFormatted(attributes) ? { insert: embed, attributes: { ...attributes } } : { insert: embed });
    this.#ends_in_block = Object.keys(embed).some((name) => BLOCK_EMBEDS.has(name));
  }

  /** The ops so far. Call once. */
  ops(): DeltaOps {
    this.#flush();
    return this.#ops;
  }

  /** The ops of an imported text: behind a block embed at the end, an editor needs a line for its cursor. */
  lines(): DeltaOps {
    if (this.#ends_in_block) this.text('\n');
    return this.ops();
  }

  #join(): void {
    this.#text += this.#parts.join('');
    this.#parts = [];
  }

  #flush(): void {
    this.#join();
    if (this.#text === '') return;
    const attributes = this.#attributes;
    this.#push(
      isFormatted(attributes) ? { insert: this.#text, attributes: { ...attributes } } : { insert: this.#text },
    );
    this.#text = '';
  }

  #push(op: DeltaOp): void {
    if (this.#ops.length >= CONTENT_LIMITS.document_ops_max) throw new TooManyOps('an import made too many operations');
    this.#ops.push(op);
  }
}

function isFormatted(attributes: Attributes | undefined): attributes is Attributes {
  if (attributes !== undefined) for (const _ in attributes) return true;
  return false;
}

function sameAttributes(a: Attributes | undefined, b: Attributes | undefined): boolean {
  if (a === b) return true;
  if (!isFormatted(a) || !isFormatted(b)) return isFormatted(a) === isFormatted(b);
  let count = 0;
  for (const name in a) {
    if (!Object.hasOwn(b, name) || !sameValue(a[name], b[name])) return false;
    count += 1;
  }
  return count === Object.keys(b).length;
}

/** Objects that differ in the order of keys alone count as different: two ops stay two, which harms nobody. */
function sameValue(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  if (a === b) return true;
  return typeof a === 'object' && typeof b === 'object' && JSON.stringify(a) === JSON.stringify(b);
}
