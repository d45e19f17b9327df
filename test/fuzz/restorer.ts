/**
 * Somebody who takes the document back to earlier revisions while all others edit it. At the end, when all have come to
 * rest, one more restore must give everybody exactly the text of then, and another of the same must edit nothing.
 */
import type { Op } from 'quill-delta';
import { documentOf } from '../../client/delta.ts';
import type { TestAnswer } from '../support/server.ts';
import type { Stage } from './actors.ts';

/** A restore under load may come to naught: storage is held up, the owner is lost, or the revision with it. */
const MAY_BE_ANSWERED = [200, 404, 409, 429, 503];

/** See the head of this file. */
export class Restorer {
  #head = 0;
  readonly #under_way: Promise<void>[] = [];

  constructor(readonly stage: Stage) {}

  act(): void {
    this.#under_way.push(this.#restore());
  }

  /** Resolves when nothing is under way. */
  async calm(): Promise<void> {
    await Promise.all(this.#under_way);
  }

  /** Restores a revision of the calm document; throws with what is wrong with it. */
  async finish(head: number): Promise<void> {
    const { dice, note } = this.stage;
    const rev = dice.below(head + 1);
    const past = await this.#content(`?rev=${rev}`);
    note(`restores ${rev} of ${head}`, past);
    const { body } = await this.#post(rev);
    const present = await this.#content('');
    if (!Bun.deepEquals(present, past))
      throw new Error(`restoring ${rev} of ${head} gave ${JSON.stringify(present)} and not ${JSON.stringify(past)}`);
    const again = await this.#post(rev);
    // A Yjs client may tidy up its formatting in between, which changes nothing that is read.
    const { server, doc_id } = this.stage;
    const edited = await server.sql`
      SELECT FROM document_updates WHERE doc_id = ${doc_id} AND rev > ${body.data.rev} AND delta <> '[]'`;
    if (!again.body.success || edited.length > 0)
      throw new Error(`restoring ${rev} twice gave ${JSON.stringify(body)}, then ${JSON.stringify(again.body)}`);
  }

  async #restore(): Promise<void> {
    const { dice, ledger, note } = this.stage;
    const rev = dice.below(this.#head + 2);
    note(`restores ${rev}`);
    const answer = await this.#post(rev).catch(() => null);
    // It took away or brought back anything that was typed until now, and wrote it a second time.
    ledger.restored();
    note(
      answer === null ? 'got no answer' : `was answered ${answer.status} ${JSON.stringify(answer.body.data ?? null)}`,
    );
    if (answer === null) return;
    if (!MAY_BE_ANSWERED.includes(answer.status))
      ledger.faults.push(`a restore was refused: ${JSON.stringify(answer.body.error)}`);
    if (answer.body.success) this.#head = answer.body.data.rev;
    else if (answer.status === 404) this.#head = Math.max(0, rev - 2);
  }

  #post(rev: number): Promise<TestAnswer> {
    const { server, doc_id, user } = this.stage;
    return server.call('POST', `/v1/documents/${doc_id}/restore`, user.token, { rev });
  }

  async #content(query: string): Promise<readonly Op[]> {
    const { server, doc_id, user } = this.stage;
    const { body } = await server.call('GET', `/v1/documents/${doc_id}/content${query}`, user.token);
    return documentOf(body.data.value).ops;
  }
}
