/**
 * HTML into a document. Nothing of the HTML survives as such: elements become the attributes of html-styles.ts or vanish,
 * text becomes lines (html-lines.ts), and so nothing in an import can become markup later.
 *
 * htmlparser2's tokenizer reads the characters: it is maintained, follows the HTML standard and stays linear. Its parser
 * and parse5 do not, for they search lists that an input can make long: open elements, attributes, active formatting. And
 * no tree is needed. What stands here instead is the stack of open elements, at most `html_depth_max` of them, each with
 * how text in it looks; an end tag goes back to what was before its element. A table row is one line with tabs between
 * its cells.
 */
import { Tokenizer, type TokenizerCallbacks } from 'htmlparser2';
import type { DeltaOps, Embed } from './delta.ts';
import { HtmlLines, type Look } from './html-lines.ts';
import {
  BLOCK_ELEMENTS,
  blockWithin,
  classValue,
  codeLanguage,
  type HtmlAttributes,
  imageAttributes,
  inlineWithin,
  KNOWN_ATTRIBUTES,
  keepsSpace,
  listType,
  RAW_ELEMENTS,
  SKIPPED_ELEMENTS,
  styleOf,
  VOID_ELEMENTS,
} from './html-styles.ts';
import { CONTENT_LIMITS } from './limits.ts';
import { type ListType, PARAGRAPH } from './styles.ts';
import { storable, unifyLineEnds } from './text.ts';
import { safeUrl } from './urls.ts';

/** The document that an HTML text shows. Throws `TooManyOps`. */
export function fromHtml(html: string): DeltaOps {
  const text = unifyLineEnds(storable(html));
  const reader = new HtmlReader();
  const tokenizer = new Tokenizer({ decodeEntities: true }, tokenCallbacks(text, reader));
  tokenizer.write(text);
  tokenizer.end();
  return reader.end();
}

/** Gathers a tag's parts before the reader hears of it. Positions are indexes of `text`, which is written as a whole. */
function tokenCallbacks(text: string, reader: HtmlReader): TokenizerCallbacks {
  let name = '';
  let attributes: Record<string, string> = Object.create(null);
  let attribute: string | null = null;
  let value = '';
  const ignore = (): void => {};
  return {
    onopentagname(start, end) {
      name = text.slice(start, end).toLowerCase();
      attributes = Object.create(null);
    },
    onattribname(start, end) {
      const wanted = text.slice(start, end).toLowerCase();
      // Of one that is given twice, the first counts.
      attribute = KNOWN_ATTRIBUTES.has(wanted) && attributes[wanted] === undefined ? wanted : null;
      value = '';
    },
    onattribdata(start, end) {
      if (attribute !== null) value += text.slice(start, end);
    },
    onattribentity(codepoint) {
      if (attribute !== null) value += String.fromCodePoint(codepoint);
    },
    onattribend() {
      if (attribute !== null) attributes[attribute] = value;
    },
    onopentagend: () => reader.open(name, attributes, false),
    onselfclosingtag: () => reader.open(name, attributes, true),
    onclosetag: (start, end) => reader.close(text.slice(start, end).toLowerCase()),
    ontext: (start, end) => reader.text(text.slice(start, end)),
    // A carriage return can only come as a reference; it is white space like the others.
    ontextentity: (codepoint) => reader.text(codepoint === 13 ? '\n' : String.fromCodePoint(codepoint)),
    oncdata: ignore,
    oncomment: ignore,
    ondeclaration: ignore,
    onprocessinginstruction: ignore,
    onend: ignore,
  };
}

/** An open element. */
interface Frame {
  readonly name: string;
  look: Look;
  /** Whether it begins and ends lines, or is a table cell: end tags of inline elements do not reach beyond it. */
  readonly kind: 'block' | 'cell' | 'inline';
  readonly lines_before: number;
  readonly list: { readonly depth: number; readonly type: ListType };
  /** Cells so far, in a table row. */
  cells: number;
}

const ROOT: Frame = {
  name: '',
  look: { inline: {}, block: PARAGRAPH, keeps_space: false, in_cell: false },
  kind: 'block',
  lines_before: 0,
  list: { depth: 0, type: 'bullet' },
  cells: 0,
};

const names = (list: string): ReadonlySet<string> => new Set(list.split(' '));
const PAGE = names('html head body');
const LISTS = names('ul ol menu dir');
const CELLS = names('td th');
const TABLE_PARTS = names('table caption tbody thead tfoot tr td th');
const P_SCOPE = names('td th caption table');

/** Elements that end an open one of the same sort, and what that one is not looked for beyond. */
const ENDS_OPEN: readonly { by: ReadonlySet<string>; open: ReadonlySet<string>; within: ReadonlySet<string> }[] = [
  { by: BLOCK_ELEMENTS, open: names('p'), within: P_SCOPE },
  { by: names('a'), open: names('a'), within: P_SCOPE },
  { by: names('li'), open: names('li'), within: names('ul ol menu dir table td th') },
  { by: names('dd dt'), open: names('dd dt'), within: names('dl table td th') },
  { by: CELLS, open: CELLS, within: names('tr table') },
  { by: names('tr'), open: names('tr'), within: names('table') },
  { by: names('tbody thead tfoot'), open: names('tbody thead tfoot'), within: names('table') },
];

/** Follows tags and text; holds the open elements. */
class HtmlReader {
  readonly #lines = new HtmlLines();
  readonly #frames: Frame[] = [];
  /** How many open elements have a name: most searches for one end here. */
  readonly #open_names = new Map<string, number>();
  /** Elements opened beyond the greatest depth. */
  #too_deep = 0;
  /** The element whose content is left out, and how many of its name are open within each other. */
  #skipping: { readonly name: string; depth: number } | null = null;
  /** The next character is a line end directly behind `<pre>`, which is not content. */
  #at_pre_start = false;

  end(): DeltaOps {
    this.#popTo(0);
    return this.#lines.ops();
  }

  text(text: string): void {
    if (this.#skipping !== null) return;
    const content = this.#at_pre_start && text.startsWith('\n') ? text.slice(1) : text;
    this.#at_pre_start = false;
    this.#lines.text(content, this.#top().look);
  }

  open(name: string, attributes: HtmlAttributes, self_closing: boolean): void {
    if (this.#skipping !== null) {
      if (name === this.#skipping.name && !self_closing) this.#skipping.depth += 1;
      return;
    }
    this.#at_pre_start = false;
    if (PAGE.has(name)) return;
    const is_embed = this.#embed(name, attributes);
    if (VOID_ELEMENTS.has(name)) return;
    if (is_embed || SKIPPED_ELEMENTS.has(name)) {
      if (!self_closing || RAW_ELEMENTS.has(name)) this.#skipping = { name, depth: 1 };
      return;
    }
    this.#push(name, attributes);
  }

  close(name: string): void {
    if (this.#skipping !== null) {
      if (name === this.#skipping.name) this.#skipping.depth -= 1;
      if (this.#skipping.depth === 0) this.#skipping = null;
      return;
    }
    this.#at_pre_start = false;
    if (name === 'br') {
      this.#lines.breakLine(this.#top().look);
    } else if (this.#too_deep > 0) {
      this.#too_deep -= 1;
      if (BLOCK_ELEMENTS.has(name)) this.#lines.endLine(this.#top().look);
    } else if (this.#open_names.get(name)) {
      this.#closeNamed(name);
    }
  }

  #top(): Frame {
    return this.#frames.at(-1) ?? ROOT;
  }

  /** Elements that stand for something in the text; true when their content is left out for it. */
  #embed(name: string, attributes: HtmlAttributes): boolean {
    const { look } = this.#top();
    switch (name) {
      case 'br':
        this.#lines.breakLine(look);
        return false;
      case 'hr':
        this.#lines.blockEmbed({ divider: true });
        return false;
      case 'img':
        this.#inlineEmbed('image', safeUrl(attributes.src, 'image'), attributes);
        return false;
      case 'input':
        if (attributes.type?.toLowerCase() === 'checkbox') this.#checkbox(attributes.checked !== undefined);
        return false;
      case 'iframe':
      case 'video':
        return this.#video(attributes.src);
      case 'a':
        return classValue(attributes, 'ql-video') === '' && this.#video(attributes.href);
      case 'span': {
        const tex = classValue(attributes, 'ql-formula') === '' ? (attributes['data-value'] ?? '') : '';
        return tex.trim() !== '' && this.#inlineEmbed('formula', tex, {});
      }
      default:
        return false;
    }
  }

  #inlineEmbed(name: 'image' | 'formula', value: string | null, attributes: HtmlAttributes): boolean {
    if (value === null) return false;
    const { look } = this.#top();
    const embed: Embed = { [name]: value };
    const text = name === 'image' ? (attributes.alt ?? '') : value;
    this.#lines.embed(embed, imageAttributes(look.inline, attributes), text, look);
    return true;
  }

  #video(address: string | undefined): boolean {
    const src = safeUrl(address, 'video');
    if (src !== null) this.#lines.blockEmbed({ video: src });
    return src !== null;
  }

  /** A check box makes an item of the list item it stands in one that can be checked. */
  #checkbox(checked: boolean): void {
    const list: ListType = checked ? 'checked' : 'unchecked';
    for (let i = this.#frames.length - 1; i >= 0; i -= 1) {
      const frame = this.#frames[i];
      if (frame === undefined || frame.look.block.kind !== 'list') return;
      frame.look = { ...frame.look, block: { ...frame.look.block, list } };
      if (frame.name === 'li') return;
    }
  }

  #push(name: string, attributes: HtmlAttributes): void {
    this.#endOpen(name);
    const parent = this.#top();
    const kind = BLOCK_ELEMENTS.has(name) ? 'block' : CELLS.has(name) ? 'cell' : 'inline';
    if (kind === 'block') this.#lines.endLine(parent.look);
    if (this.#frames.length >= CONTENT_LIMITS.html_depth_max) {
      this.#too_deep += 1;
      return;
    }
    if (kind === 'cell' && parent.name === 'tr') {
      if (parent.cells > 0) this.#lines.nextCell();
      parent.cells += 1;
    }
    const list = LISTS.has(name) ? { depth: parent.list.depth + 1, type: listType(name, attributes) } : parent.list;
    const look = this.#lookWithin(parent.look, name, kind, attributes, list);
    this.#frames.push({ name, look, kind, lines_before: this.#lines.count, list, cells: 0 });
    this.#open_names.set(name, (this.#open_names.get(name) ?? 0) + 1);
    this.#at_pre_start = name === 'pre' || name === 'listing';
  }

  #lookWithin(outer: Look, name: string, kind: Frame['kind'], attributes: HtmlAttributes, list: Frame['list']): Look {
    const styles = styleOf(attributes);
    const in_cell = outer.in_cell || kind === 'cell';
    let block = outer.block;
    if (kind === 'block' && !in_cell) block = blockWithin(block, name, attributes, styles, list);
    else if (name === 'code' && block.kind === 'code') {
      block = { ...block, language: block.language ?? codeLanguage(attributes) };
    }
    return {
      inline: inlineWithin(outer.inline, name, attributes, styles),
      block,
      keeps_space: keepsSpace(name, styles) ?? outer.keeps_space,
      in_cell,
    };
  }

  /** Ends what a start tag of this name ends without an end tag. */
  #endOpen(name: string): void {
    for (const { by, open, within } of ENDS_OPEN) {
      if (!by.has(name)) continue;
      let is_open = false;
      for (const candidate of open) is_open ||= (this.#open_names.get(candidate) ?? 0) > 0;
      if (!is_open) continue;
      for (let i = this.#frames.length - 1; i >= 0; i -= 1) {
        const frame_name = this.#frames[i]?.name ?? '';
        if (open.has(frame_name)) {
          this.#popTo(i);
          break;
        }
        if (within.has(frame_name)) break;
      }
    }
  }

  /** An end tag: ends its element and all within it, or, if block elements are open within, only its formatting. */
  #closeNamed(name: string): void {
    let blocks_within = 0;
    for (let i = this.#frames.length - 1; i >= 0; i -= 1) {
      const frame = this.#frames[i];
      if (frame === undefined) return;
      if (frame.name === name) {
        if (frame.kind === 'inline' && blocks_within > 0) this.#remove(i);
        else this.#popTo(i);
        return;
      }
      if (TABLE_PARTS.has(frame.name) && !TABLE_PARTS.has(name)) return;
      if (frame.kind !== 'inline') blocks_within += 1;
    }
  }

  #popTo(index: number): void {
    while (this.#frames.length > index) {
      const frame = this.#top();
      if (frame.kind === 'block') {
        this.#lines.endLine(frame.look);
        // An item without any text is a line nevertheless, unless it only holds another list.
        const is_empty_item = frame.name === 'li' && frame.lines_before === this.#lines.count;
        if (is_empty_item && !frame.look.in_cell) this.#lines.breakLine(frame.look);
      }
      this.#remove(this.#frames.length - 1);
    }
  }

  #remove(index: number): void {
    for (const { name } of this.#frames.splice(index, 1)) {
      this.#open_names.set(name, (this.#open_names.get(name) ?? 1) - 1);
    }
  }
}
