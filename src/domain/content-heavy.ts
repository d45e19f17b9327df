/**
 * Imports and renderings that would hold up everybody's edits. One turn of the event loop serves all documents of a
 * node, and 16 MiB of Markdown take seconds; so whatever is large is done on a thread of its own, and what is small
 * right here, since starting a thread takes longer than that.
 *
 * Threads take cores from the event loop all the same, and each holds a whole document; so there are few at a time, for
 * the process as a whole, and those who would have to wait long are sent away with `RATE_LIMITED`.
 */
import { Line } from '../base/line.ts';
import { type DeltaOps, docLength } from '../protocol/content/delta.ts';
import { renderContent, type TextFormat } from '../protocol/content/formats.ts';
import { ConcordError, type FieldIssue, invalid } from '../protocol/errors.ts';
import { type ContentInput, type ImportedContent, importContent } from './content-import.ts';

/** Content of at most this many characters, or operations, is small. */
const SMALL_CHARS_MAX = 32 * 1024;
const SMALL_OPS_MAX = 4_096;

/** Threads at a time, and tasks that may wait for one. */
const THREADS_MAX = 2;
const WAITING_MAX = 16;
/** When those who are sent away may come again, seconds. */
const RETRY_AFTER_S = 5;

/** Something that takes long. Ops cross to a thread as JSON, which is much faster than as objects. */
export type HeavyTask =
  | { readonly kind: 'import'; readonly content: ContentInput }
  | { readonly kind: 'render'; readonly format: TextFormat; readonly ops_json: string };

/** How it ended; a refusal crosses back as what it names. */
export type HeavyOutcome<Result> =
  | { readonly ok: true; readonly result: Result }
  | { readonly ok: false; readonly issues: readonly FieldIssue[] };

/**
 * {@link importContent}, on a thread when the content is large.
 * Errors: VALIDATION_ERROR, RATE_LIMITED (too many large ones at once).
 */
export async function importWherever(content: ContentInput): Promise<ImportedContent> {
  const { value } = content;
  const small = typeof value === 'string' ? value.length <= SMALL_CHARS_MAX : smallOps(value);
  if (small) return importContent(content);
  return line.run(() => onThread<ImportedContent>({ kind: 'import', content }));
}

/**
 * {@link renderContent}, on a thread when the text is large. Ops stay as they are and plain text is quick to make.
 * Errors: RATE_LIMITED (too many large ones at once).
 */
export async function renderWherever(format: TextFormat, ops: DeltaOps): Promise<DeltaOps | string> {
  if (!isHeavy(format, ops)) return renderContent(format, ops);
  return line.run(() => onThread<string>({ kind: 'render', format, ops_json: JSON.stringify(ops) }));
}

/** Whether {@link renderWherever} takes a thread for it. */
export function isHeavy(format: TextFormat, ops: DeltaOps): boolean {
  const quick = format === 'delta' || format === 'text';
  return !quick && (ops.length > SMALL_OPS_MAX || docLength(ops) > SMALL_CHARS_MAX);
}

/** Does the task: what a thread is started for. */
export function performHeavy(task: HeavyTask): HeavyOutcome<ImportedContent | DeltaOps | string> {
  if (task.kind === 'render')
    return { ok: true, result: renderContent(task.format, JSON.parse(task.ops_json) as DeltaOps) };
  try {
    return { ok: true, result: importContent(task.content) };
  } catch (error) {
    if (!(error instanceof ConcordError)) throw error;
    return { ok: false, issues: error.details as readonly FieldIssue[] };
  }
}

function smallOps(value: unknown): boolean {
  return (
    !Array.isArray(value) || (value.length <= SMALL_OPS_MAX && docLength(value.filter(isObject)) <= SMALL_CHARS_MAX)
  );
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

async function onThread<Result>(task: HeavyTask): Promise<Result> {
  const thread = new Worker(new URL('./content-thread.ts', import.meta.url).href);
  const outcome = await new Promise<HeavyOutcome<Result>>((resolve, reject) => {
    thread.onmessage = (event: MessageEvent<HeavyOutcome<Result>>) => resolve(event.data);
    thread.onerror = (event) => reject(new Error(`work on large content failed: ${event.message}`));
    thread.postMessage(task);
  }).finally(() => thread.terminate());
  if (!outcome.ok) throw invalid(outcome.issues);
  return outcome.result;
}

const line = new Line({
  running_max: THREADS_MAX,
  waiting_max: WAITING_MAX,
  full: () =>
    new ConcordError('RATE_LIMITED', 'Too many large documents at once; try again.', undefined, RETRY_AFTER_S),
});
