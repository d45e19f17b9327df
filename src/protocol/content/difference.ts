/**
 * The change that turns one text into another, surrogate pairs in one piece.
 *
 * quill-delta compares code units and so would keep half of one emoji for half of another; an edit that was made between
 * two emoji would then be carried into the middle of a pair. Here every distinct pair is first replaced by one code unit
 * that neither text uses, the two are compared, and the change is widened again.
 */
import Delta from 'quill-delta';
import type { DeltaOps } from './delta.ts';

const PAIRS = /[\ud800-\udbff][\udc00-\udfff]/g;

/** The ops that turn `from` into `to`; both are documents (inserts alone). */
export function difference(from: DeltaOps, to: DeltaOps): DeltaOps {
  const text = [...from, ...to].map(({ insert }) => (typeof insert === 'string' ? insert : ' ')).join(' ');
  const pairs = [...new Set(text.match(PAIRS))];
  const stand_ins = unusedUnits(text, pairs.length);
  // Tens of thousands of different pairs in one text: tearing one is the lesser evil.
  if (pairs.length === 0 || stand_ins === null) return new Delta(from).diff(new Delta(to)).ops as DeltaOps;
  const stand_in_of = new Map(pairs.map((pair, i) => [pair, stand_ins[i] ?? pair]));
  const pair_of = new Map([...stand_in_of].map(([pair, unit]) => [unit, pair]));
  const narrow = (ops: DeltaOps): Delta =>
    new Delta(mapText(ops, (insert) => insert.replace(PAIRS, (pair) => stand_in_of.get(pair) ?? pair)));
  const narrow_from = narrow(from);
  const change = narrow_from.diff(narrow(to)).ops as DeltaOps;
  const widths = unitsOf(narrow_from.ops as DeltaOps).map((unit) => pair_of.get(unit)?.length ?? 1);
  return mapText(widen(change, widths), (insert) => Array.from(insert, (unit) => pair_of.get(unit) ?? unit).join(''));
}

/** As many code units as asked for that the text does not hold, none of them a surrogate; null when there are not enough. */
function unusedUnits(text: string, count: number): string[] | null {
  const used = new Set(text);
  const unused: string[] = [];
  // From the end of the private use area downwards: what texts hold least.
  for (let unit = 0xf8ff; unit > 0 && unused.length < count; unit--) {
    const character = String.fromCharCode(unit);
    if (!(unit >= 0xd800 && unit <= 0xdfff) && !used.has(character)) unused.push(character);
  }
  return unused.length === count ? unused : null;
}

function mapText(ops: DeltaOps, map: (text: string) => string): DeltaOps {
  return ops.map((op) => (typeof op.insert === 'string' ? { ...op, insert: map(op.insert) } : op));
}

/** Every code unit of a document; an embed is one. */
function unitsOf(ops: DeltaOps): string[] {
  return ops.flatMap(({ insert }) => (typeof insert === 'string' ? insert.split('') : ['']));
}

/** Lengths of the change in units of the text itself; `widths` are those of the units that it retains or deletes. */
function widen(change: DeltaOps, widths: readonly number[]): DeltaOps {
  let at = 0;
  return change.map((op) => {
    const step = op.delete ?? op.retain;
    if (step === undefined) return op;
    const length = widths.slice(at, at + step).reduce((sum, width) => sum + width, 0);
    at += step;
    return op.delete === undefined ? ({ ...op, retain: length } as DeltaOps[number]) : { delete: length };
  });
}
