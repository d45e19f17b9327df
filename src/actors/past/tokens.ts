/**
 * What Yjs items hold, as numbers that are equal when the contents are: so that lists of them can be compared. A shared type
 * is what is in it, all the way down.
 */
import * as encoding from 'lib0/encoding';
import * as Y from 'yjs';

/** A shared type, whatever it is. */
export type Shared = Y.AbstractType<unknown>;

/** The smallest part of a list that can stay or go: a character, or one unit of anything else. */
export interface Unit {
  readonly item: Y.Item;
  /** Where in the item. */
  readonly from: number;
  readonly to: number;
  /** Its name, which stays when the item is cut. */
  readonly client: number;
  readonly clock: number;
  readonly token: number;
}

/** What is not a character is numbered from here. */
const BEYOND_CHARACTERS = 0x110000;

/** See the head of this file. Tokens of one instance compare with each other. */
export class ItemTokens {
  readonly #numbers = new Map<string, number>();
  readonly #types = new Map<Shared, number>();

  /** The units of an item from `from` to `to`. */
  units(item: Y.Item, from: number, to: number): Unit[] {
    const { client, clock } = item.id;
    const unit = (start: number, end: number, token: number): Unit => {
      return { item, from: start, to: end, client, clock: clock + start, token };
    };
    if (!(item.content instanceof Y.ContentString))
      return Array.from({ length: to - from }, (_, i) =>
        unit(from + i, from + i + 1, this.#at(item.content, from + i)),
      );
    const units: Unit[] = [];
    let start = from;
    // A character beyond the BMP must not be torn: Yjs then turns its halves into U+FFFD.
    for (const character of item.content.str.slice(from, to)) {
      units.push(unit(start, start + character.length, character.codePointAt(0) ?? 0));
      start += character.length;
    }
    return units;
  }

  /** The last unit of an item: of an entry of a map, its value. */
  last(item: Y.Item): number {
    return this.#at(item.content, item.length - 1);
  }

  #at(content: Y.Item['content'], i: number): number {
    if (content instanceof Y.ContentType) return this.#type(content.type as Shared);
    if (content instanceof Y.ContentString) return this.#number(['character', content.str[i]]);
    if (content instanceof Y.ContentFormat) return this.#number(['format', content.key, content.value]);
    if (content instanceof Y.ContentEmbed) return this.#number(['embed', content.embed]);
    if (content instanceof Y.ContentBinary) return this.#number(['bytes', content.content]);
    if (content instanceof Y.ContentDoc) return this.#number(['document', content.doc.guid]);
    return this.#number(['value', content.getContent()[i]]);
  }

  #type(type: Shared): number {
    const known = this.#types.get(type);
    if (known !== undefined) return known;
    const entries: [string, number][] = [];
    for (const [key, item] of type._map) if (!item.deleted) entries.push([key, this.last(item)]);
    entries.sort(([one], [other]) => (one < other ? -1 : 1));
    const list: number[] = [];
    for (let item = type._start; item !== null; item = item.right)
      if (!item.deleted) for (const { token } of this.units(item, 0, item.length)) list.push(token);
    const number = this.#number(['type', kindOf(type), entries, list]);
    this.#types.set(type, number);
    return number;
  }

  #number(value: unknown): number {
    const bytes = encoding.encode((encoder) => encoding.writeAny(encoder, value as never));
    const key = Buffer.from(bytes).toString('latin1');
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = BEYOND_CHARACTERS + this.#numbers.size;
      this.#numbers.set(key, number);
    }
    return number;
  }
}

/** The type that an item holds; null when it holds something else. */
export function sharedIn({ content }: Y.Item): Shared | null {
  return content instanceof Y.ContentType ? (content.type as Shared) : null;
}

/** What a type is and, of XML, its name: that much of it can never change. */
export function kindOf(type: Shared): string {
  if (type instanceof Y.XmlElement) return `element ${type.nodeName}`;
  if (type instanceof Y.XmlHook) return `hook ${type.hookName}`;
  return type.constructor.name;
}
