/**
 * Where questions about the past are answered. One turn of the event loop serves all documents of a node, so what is
 * large goes to a thread; what is small is done right here, since even a thread that is there already costs more.
 *
 * Threads are kept for the next question: starting one takes longer than most answers. There are few, each works on one
 * question at a time, and those who would have to wait long are sent away with `RATE_LIMITED`.
 */
import { Line } from '../../base/line.ts';
import { ConcordError } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { answering } from './answer.ts';
import { type Answers, type Emit, type Piece, type Question, weightOf } from './pieces.ts';

/** Questions up to this weight are answered right here. */
const SMALL_WEIGHT_MAX = 48 * 1024;
/** Pieces go to a thread together up to this weight. */
const BATCH_WEIGHT_MAX = 512 * 1024;

/** Threads that are kept when nobody asks. */
export const IDLE_MAX = 2;
/** When those who are sent away may come again, seconds. */
const RETRY_AFTER_S = 5;

/** What a thread is told. */
export type ToThread =
  | { readonly question: Question }
  | { readonly pieces: readonly Piece[]; readonly finish: boolean };

/** What a thread tells. */
export type FromThread =
  | { readonly part: Uint8Array }
  | { readonly value: unknown }
  /** It could not do what it was asked. */
  | { readonly message: string };

/** Takes the pieces that answer a question; true from it when no more are needed, though it may be late to say so. */
export type Feed = (piece: Piece) => Promise<boolean>;

/**
 * Answers `question` from what `gather` feeds, which is not called before there is room for it; `emit` takes the parts of an
 * answer that comes in parts. Errors: RATE_LIMITED (too many at once), and those of `gather`.
 */
export async function answer<Q extends Question>(
  question: Q,
  gather: (feed: Feed) => Promise<void>,
  emit: Emit = () => {},
): Promise<Answers[Q['kind']]> {
  return line.run(() => answerNow(question, gather, emit));
}

/** Has a thread at hand before anybody asks: whoever comes first would wait for its start. */
export function keepThreadReady(): void {
  if (idle.length === 0) idle.push(new Thread());
}

async function answerNow<Q extends Question>(
  question: Q,
  gather: (feed: Feed) => Promise<void>,
  emit: Emit,
): Promise<Answers[Q['kind']]> {
  let held: Piece[] = [];
  let weight = 0;
  let thread: Thread | null = null;
  const feed: Feed = async (piece) => {
    held.push(piece);
    weight += weightOf(piece);
    if (weight <= (thread === null ? SMALL_WEIGHT_MAX : BATCH_WEIGHT_MAX)) return false;
    if (thread === null) {
      thread = idle.pop() ?? new Thread();
      await thread.ask({ question });
    }
    const pieces = held;
    held = [];
    weight = 0;
    return (await thread.ask({ pieces, finish: false })) as boolean;
  };
  try {
    await gather(feed);
    // The compiler does not see what `feed` does.
    const busy = thread as Thread | null;
    if (busy !== null) return (await busy.ask({ pieces: held, finish: true }, emit)) as Answers[Q['kind']];
  } finally {
    (thread as Thread | null)?.giveBack();
  }
  const here = answering(question);
  for (const piece of held) here.feed(piece);
  return here.finish(emit) as Answers[Q['kind']];
}

/** A thread and its one question. */
class Thread {
  // A process that has nothing else to do may end.
  readonly #worker = new Worker(new URL('./thread.ts', import.meta.url).href, { ref: false });
  #waiting: PromiseWithResolvers<unknown> | null = null;
  #emit: Emit | null = null;
  #broken: Error | null = null;

  constructor() {
    this.#worker.onmessage = ({ data }: MessageEvent<FromThread>) => {
      if ('part' in data) this.#emit?.(data.part);
      else if ('value' in data) this.#waiting?.resolve(data.value);
      else this.#fail(`a question about the past failed: ${data.message}`);
    };
    this.#worker.onerror = (event) => this.#fail(`the thread for the past ended: ${event.message}`);
  }

  /** Tells the thread something and waits until it is done. */
  ask(message: ToThread, emit: Emit | null = null): Promise<unknown> {
    if (this.#broken !== null) return Promise.reject(this.#broken);
    this.#emit = emit;
    this.#waiting = Promise.withResolvers<unknown>();
    this.#worker.postMessage(message);
    return this.#waiting.promise;
  }

  /** Done with it: the next who waits may have it. */
  giveBack(): void {
    // One that was left in the middle begins anew with the next question.
    if (this.#broken !== null || idle.length >= IDLE_MAX) this.#worker.terminate();
    else idle.push(this);
  }

  #fail(message: string): void {
    this.#broken = new Error(message);
    this.#waiting?.reject(this.#broken);
    // It may have ended while nobody asked: nobody is to have it.
    const place = idle.indexOf(this);
    if (place !== -1) idle.splice(place, 1)[0]?.giveBack();
  }
}

const idle: Thread[] = [];
const line = new Line({
  running_max: LIMITS.history_questions_at_once_max,
  waiting_max: LIMITS.history_questions_waiting_max,
  full: () => new ConcordError('RATE_LIMITED', 'Too many questions at once; try again.', undefined, RETRY_AFTER_S),
});
