/**
 * A program that writes over REST under a `client_id` and `seq` of its own. Whatever fails, it sends the same edit again
 * until it is answered 200: that this is safe is what the tests are about.
 */
import type { DeltaOps } from '../../src/protocol/content/delta.ts';
import { until } from '../support/until.ts';
import type { Answer } from './concord.ts';
import { afterThinking, type ClientParts } from './json-client.ts';
import { nextPlace } from './ledger.ts';

/** See the head of this file. */
export class RestWriter {
  /** Whether it makes the next edit as soon as the last was answered. */
  typing = false;
  #seq = 0;
  #writing = false;
  readonly client_id: string;

  constructor(private readonly parts: ClientParts) {
    this.client_id = parts.random.id();
  }

  get name(): string {
    return this.parts.name;
  }

  /** Whether nothing of its own waits for anything. */
  get is_settled(): boolean {
    return !this.#writing;
  }

  /** Writes while it is meant to. */
  stay(): void {
    void this.#stay();
  }

  /** The next edit: a marker at the front, or, when the text can be read now, somewhere in it. */
  async prepare(): Promise<{ readonly marker: string; readonly body: object; readonly boot: number }> {
    const { concord, ledger, doc_id, person, name, random } = this.parts;
    this.#seq += 1;
    const marker = ledger.make(doc_id, name, this.#seq);
    const { boot } = concord;
    const read = random.float() < 0.5 ? await concord.text(person, doc_id).catch(() => null) : null;
    if (read === null) return { marker, boot, body: this.#body([{ insert: marker }]) };
    const place = nextPlace(read.value, Math.floor(random.float() * (read.value.length + 1)));
    const delta = place === 0 ? [{ insert: marker }] : [{ retain: place }, { insert: marker }];
    return { marker, boot, body: this.#body(delta, read.rev) };
  }

  /** Sends an edit once. */
  send(body: object): Promise<Answer> {
    const { concord, doc_id, person, ledger } = this.parts;
    ledger.count('sent');
    return concord.call('POST', `/v1/documents/${doc_id}/edits`, person.token, body);
  }

  async #stay(): Promise<void> {
    const { concord } = this.parts;
    while (this.typing) {
      await concord.serving();
      this.#writing = true;
      await this.#write();
      this.#writing = false;
      await new Promise<void>((resolve) => afterThinking(this.parts, resolve));
    }
  }

  async #write(): Promise<void> {
    const { concord, ledger, name } = this.parts;
    const { marker, boot, body } = await this.prepare();
    let attempt = body;
    await until(
      `${name} to be answered`,
      async () => {
        await concord.serving();
        // A revision that was read from an owner that died may be another one by now, or none.
        if (boot !== concord.boot) attempt = this.#body([{ insert: marker }]);
        const { status, body: answer } = await this.send(attempt);
        if (status === 200) return true;
        if (status === 409) attempt = this.#body([{ insert: marker }]);
        else if (status !== 503) ledger.faults.push(`${name}: ${status} ${JSON.stringify(answer)}`);
        return false;
      },
      60_000,
    ).then(
      () => ledger.ack(marker),
      (error: Error) => ledger.faults.push(`${name}: ${error.message}`),
    );
  }

  #body(delta: DeltaOps, base_rev?: number): object {
    const changes = base_rev === undefined ? { delta } : { delta, base_rev };
    return { changes, client_id: this.client_id, seq: this.#seq };
  }
}
