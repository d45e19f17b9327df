/**
 * The {@link DocumentGateway} of this node: edits go through the document's actor and are answered once they are on disk;
 * reading asks the actor when the document is open here, since only it knows what is not written yet, and storage
 * otherwise, so that a reader never claims a document. An edit that was answered before it reached the actor never will.
 */
import type { Clock } from '../base/clock.ts';
import { TIMED_OUT, within } from '../base/clock.ts';
import { ConcordError, type ErrorCode, unavailable } from '../protocol/errors.ts';
import { TIMES } from '../protocol/limits.ts';
import type { PresenceEntry } from '../protocol/messages.ts';
import { readHead } from '../store/heads.ts';
import type { Database } from '../store/postgres.ts';
import type { DocumentGateway, EditRequest, StateAt, TextAt } from './gateway.ts';
import { stateAt, textAt } from './past/reader.ts';
import type { Registry } from './registry.ts';
import type { DocumentRuntime } from './runtime.ts';

/** An edit that somebody waits for. */
interface Call {
  /** Its caller has had an answer by now. */
  given_up: boolean;
}

/** Refusals that depend on what the document holds. */
const JUDGED_BY_MEMORY: ReadonlySet<ErrorCode> = new Set(['VALIDATION_ERROR', 'STALE_REVISION', 'CONFLICT']);

/** See the head of this file. */
export class LocalGateway implements DocumentGateway {
  constructor(
    private readonly registry: Registry,
    private readonly sql: Database,
    private readonly clock: Clock,
  ) {}

  async edit(request: EditRequest): Promise<{ readonly rev: number }> {
    const call: Call = { given_up: false };
    const { runtime, rev } = await this.#inTime(this.#apply(request, call)).catch(async (error: unknown) => {
      call.given_up = true;
      // An owner that was replaced and has not noticed yet refuses by what it remembers, which may be too little.
      const by_memory = error instanceof ConcordError && JUDGED_BY_MEMORY.has(error.code);
      if (by_memory && !(await this.registry.stillOurs(request.doc_id))) throw unavailable(undefined, 1);
      throw error;
    });
    const written = await within(this.clock, TIMES.rest_durable_wait_ms, runtime.durable(rev));
    if (written === TIMED_OUT) {
      throw unavailable('Storage has not confirmed the edit; send it again with the same client_id and seq.');
    }
    return { rev };
  }

  async text(doc_id: string, rev?: number): Promise<TextAt> {
    const runtime = this.registry.peek(doc_id)?.runtime ?? null;
    if (runtime !== null && (rev === undefined || rev === runtime.log.head))
      return { rev: runtime.log.head, ops: runtime.replica.ops() };
    return await this.#inTime(textAt(this.sql, doc_id, await this.committed(doc_id, rev)));
  }

  async state(doc_id: string, rev?: number): Promise<StateAt> {
    const runtime = this.registry.peek(doc_id)?.runtime ?? null;
    if (runtime !== null && (rev === undefined || rev === runtime.log.head)) {
      return { rev: runtime.log.head, update: runtime.replica.state() };
    }
    // Of a long history it may take long; whether storage answers at all is the watchdog's to notice.
    return await stateAt(this.sql, doc_id, await this.committed(doc_id, rev));
  }

  async hasOtherRoots(doc_id: string): Promise<boolean> {
    const { runtime } = await this.#inTime(this.registry.open(doc_id));
    return runtime.replica.hasOtherRoots();
  }

  async rev(doc_id: string): Promise<number> {
    const runtime = this.registry.peek(doc_id)?.runtime;
    if (runtime) return runtime.log.head;
    return (await this.#head(doc_id)).head_rev;
  }

  async committed(doc_id: string, rev?: number): Promise<number> {
    const runtime = this.registry.peek(doc_id)?.runtime ?? null;
    const head = runtime === null ? (await this.#head(doc_id)).head_rev : runtime.log.head;
    const wanted = rev ?? head;
    if (wanted > head)
      throw new ConcordError('NOT_FOUND', `The document has no revision ${wanted}; its head is ${head}.`);
    // A revision that is still on its way to the disk is a moment away from being history.
    if (runtime !== null) await this.#inTime(runtime.durable(wanted));
    return wanted;
  }

  presence(doc_id: string): Promise<readonly PresenceEntry[]> {
    return Promise.resolve(this.registry.peek(doc_id)?.runtime?.presence() ?? []);
  }

  /**
   * Puts the edit into the document's mailbox and waits for its revision, not yet for the disk. One that was given up before
   * it got there never gets there: whoever was answered 503 may come again without finding it applied behind their back.
   */
  async #apply(request: EditRequest, call: Call): Promise<{ runtime: DocumentRuntime; rev: number }> {
    const { doc_id, user_id, client_id, seq, base_rev, delta, roots } = request;
    for (;;) {
      const { document, runtime } = await this.registry.open(doc_id);
      if (seq !== null)
        runtime.log.noteSeq(user_id, client_id, await this.registry.lastSeq(runtime, user_id, client_id));
      // A program may have read the document long ago, and the document been closed and opened again since.
      if (base_rev !== null) await this.registry.reachBack(runtime, base_rev);
      if (call.given_up) throw unavailable();
      const rev = await new Promise<number | null>((resolve, reject) => {
        const taken = document.push({
          kind: 'edit',
          author: null,
          edit: { user_id, client_id, seq, base_rev, delta, roots, door: 'rest' },
          outcome: { applied: resolve, refused: reject },
        });
        if (!taken) resolve(null);
      });
      if (rev !== null) return { runtime, rev };
    }
  }

  async #head(doc_id: string): Promise<{ head_rev: number }> {
    const head = await this.#inTime(readHead(this.sql, doc_id));
    if (head === null) throw new ConcordError('NOT_FOUND', 'There is no such document.');
    return head;
  }

  async #inTime<T>(answer: Promise<T>): Promise<T> {
    const value = await within(this.clock, TIMES.rest_durable_wait_ms, answer);
    if (value === TIMED_OUT) throw unavailable();
    return value;
  }
}
