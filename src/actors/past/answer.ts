/**
 * Answers a question about the past from the pieces that it is fed: a pure function of bytes, in steps, so that it runs
 * on whatever thread and never holds more than one piece beside its result.
 */
import * as Y from 'yjs';
import type { DeltaOps } from '../../protocol/content/delta.ts';
import { UpdateJoiner } from '../../protocol/history/joined-updates.ts';
import { DiffFold, TextFold } from '../../protocol/history/pieces.ts';
import { unpackOps } from '../../protocol/history/segment.ts';
import { AttributionAnswer } from './attribution-answer.ts';
import { changeOf, effectsOf, openState, updatesOf } from './effects.ts';
import { inverse } from './inverse.ts';
import { createPastDoc } from './past-doc.ts';
import type { Answers, DiffAnswer, Emit, Piece, Question } from './pieces.ts';
import { rootsBack } from './roots.ts';
import { RunsAnswer } from './runs-answer.ts';

/** A question on its way to its answer. */
export interface Answering<Kind extends keyof Answers = keyof Answers> {
  /** Takes the next piece. True when no more are needed. */
  feed(piece: Piece): boolean;
  /** The answer; `emit` takes the parts of one that comes in parts. */
  finish(emit: Emit): Answers[Kind];
}

/** Begins to answer. */
export function answering(question: Question): Answering {
  switch (question.kind) {
    case 'text':
      return new TextAnswer();
    case 'state':
      return new StateAnswer();
    case 'roots':
      return new RootsAnswer();
    case 'diff':
      return new DiffAnswering();
    case 'undone':
      return new UndoneAnswer();
    case 'attribution':
      return new AttributionAnswer();
    case 'runs':
      return new RunsAnswer(question.limit);
  }
}

/** A text that effects are applied to. */
class FoldedText {
  #fold: TextFold | null = null;
  /** The text to begin with, as it came: if nothing is applied to it, it is the answer. */
  #json: string | null = '[]';

  feed(piece: Piece): void {
    if (piece.kind === 'text') this.#json = piece.json;
    else if (piece.kind === 'checkpoint') {
      this.#json = null;
      this.#fold = new TextFold(unpackOps(piece.bytes));
    } else
      for (const { delta } of effectsOf(piece)) {
        this.#fold ??= new TextFold(JSON.parse(this.#json ?? '[]') as DeltaOps);
        this.#fold.apply(delta);
      }
  }

  ops(): DeltaOps {
    return this.#fold?.ops() ?? (JSON.parse(this.#json ?? '[]') as DeltaOps);
  }

  json(): string {
    return this.#fold === null && this.#json !== null ? this.#json : JSON.stringify(this.ops());
  }
}

class TextAnswer implements Answering<'text'> {
  readonly #text = new FoldedText();

  feed(piece: Piece): boolean {
    this.#text.feed(piece);
    return false;
  }

  finish(): Answers['text'] {
    return { ops_json: this.#text.json() };
  }
}

/** Longer than any text. */
const ANY_LENGTH = 2 ** 52;

class DiffAnswering implements Answering<'diff'> {
  readonly #fold = new DiffFold(ANY_LENGTH);

  feed(piece: Piece): boolean {
    for (const { delta } of effectsOf(piece)) this.#fold.apply(delta);
    return false;
  }

  delta(): DeltaOps {
    return this.#fold.delta();
  }

  finish(): DiffAnswer {
    return counted(this.delta());
  }
}

class UndoneAnswer implements Answering<'undone'> {
  readonly #text = new FoldedText();
  #diff: DiffAnswering | null = null;

  feed(piece: Piece): boolean {
    if (piece.kind === 'turn') this.#diff = new DiffAnswering();
    else if (this.#diff === null) this.#text.feed(piece);
    else this.#diff.feed(piece);
    return false;
  }

  finish(): DiffAnswer {
    return counted(inverse(this.#diff?.delta() ?? [], this.#text.ops()));
  }
}

function counted(delta: DeltaOps): DiffAnswer {
  return { delta_json: JSON.stringify(delta), ...changeOf(delta) };
}

/** Updates are joined up to so many bytes before the document takes them in. */
const JOINED_BYTES_MAX = 16 * 1024 * 1024;

class StateAnswer implements Answering<'state'> {
  readonly #doc = createPastDoc();
  /** A state that nothing was added to is handed back as it is. */
  #only: Uint8Array | null = null;
  #joiner = new UpdateJoiner();

  feed(piece: Piece): boolean {
    if (piece.kind === 'state') this.#only = openState(piece);
    for (const update of updatesOf(piece)) {
      if (this.#only !== null) Y.applyUpdate(this.#doc, this.#only);
      this.#only = null;
      if (this.#joiner.bytes > JOINED_BYTES_MAX) this.#takeIn();
      if (this.#joiner.add(update)) continue;
      this.#takeIn();
      if (!this.#joiner.add(update)) Y.applyUpdate(this.#doc, update);
    }
    return false;
  }

  finish(): Answers['state'] {
    this.#takeIn();
    const update = this.#only ?? Y.encodeStateAsUpdate(this.#doc);
    this.#doc.destroy();
    return { update };
  }

  #takeIn(): void {
    if (this.#joiner.bytes === 0) return;
    Y.applyUpdate(this.#doc, this.#joiner.finish());
    this.#joiner = new UpdateJoiner();
  }
}

class RootsAnswer implements Answering<'roots'> {
  #past: Uint8Array | null = null;
  #state = new StateAnswer();

  feed(piece: Piece): boolean {
    if (piece.kind !== 'turn') return this.#state.feed(piece);
    this.#past = this.#state.finish().update;
    this.#state = new StateAnswer();
    return false;
  }

  finish(): Answers['roots'] {
    const [past, head] = [createPastDoc(), createPastDoc()];
    if (this.#past !== null) Y.applyUpdate(past, this.#past);
    Y.applyUpdate(head, this.#state.finish().update);
    return { update: rootsBack(past, head) };
  }
}
