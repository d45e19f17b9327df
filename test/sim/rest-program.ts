/** A program: one numbered edit after the other, each sent again until it is taken, and now and then once more. */
import Delta from 'quill-delta';
import type { DeltaOps } from '../../src/protocol/content/delta.ts';
import { ConcordError } from '../../src/protocol/errors.ts';
import type { Place } from './place.ts';
import { Host } from './time.ts';

/** See the head of this file. */
export class RestProgram {
  readonly #host: Host;
  #seq = 0;
  #waiting = 0;
  #busy = false;

  constructor(readonly place: Place) {
    this.#host = new Host(place.name, place.time);
  }

  edit(): void {
    this.#waiting += 1;
    if (!this.#busy) void this.#work().catch((error: unknown) => this.place.fault(`the program failed: ${error}`));
  }

  unrest(): string | null {
    return this.#busy ? `${this.place.name} waits for seq ${this.#seq}` : null;
  }

  async #work(): Promise<void> {
    this.#busy = true;
    for (; this.#waiting > 0; this.#waiting -= 1) {
      this.#seq += 1;
      const delta = new Delta().insert(this.place.typed.marker(this.place.name));
      const rev = await this.#until(delta.ops as DeltaOps);
      // Who lost patience asks again, and must hear the same.
      if (this.place.dice.once(3) && (await this.#until(delta.ops as DeltaOps)) !== rev)
        this.place.fault(`REST edit ${this.#seq} became rev ${rev} and then another`);
    }
    this.#busy = false;
  }

  async #until(delta: DeltaOps): Promise<number> {
    const { place } = this;
    for (;;) {
      const rev = await this.#send(delta);
      if (rev !== null) {
        const row = place.stored.rows[rev - 1];
        if (row?.seq !== this.#seq || row.client_id !== place.client_id)
          place.fault(`REST edit ${this.#seq} was answered with rev ${rev}, which is another's`);
        return rev;
      }
      await new Promise<void>((resolve) => void this.#host.receive(100 + place.dice.below(2_000), resolve));
    }
  }

  /** The revision, or null when nobody took it or nobody answered. */
  #send(delta: DeltaOps): Promise<number | null> {
    const { place } = this;
    const { doc_id, user_id, client_id } = place;
    // What is on its way stays what it was.
    const seq = this.#seq;
    const node = place.route();
    const server = node.host;
    place.trace.note(place.name, `posts ${seq} to ${node.name}`);
    return new Promise((resolve) => {
      // The caller's own patience; the call itself may go on behind its back.
      const patience = this.#host.receive(9_000, () => resolve(null));
      server.receive(1 + place.dice.below(5), () => {
        const answer = (rev: number | null): void => {
          this.#host.receive(1 + place.dice.below(5), () => {
            patience.cancel();
            resolve(rev);
          });
        };
        node.gateway.edit({ doc_id, user_id, client_id, seq, base_rev: null, delta }).then(
          ({ rev }) => answer(rev),
          (error: unknown) => {
            if (!(error instanceof ConcordError) || error.code !== 'UNAVAILABLE')
              place.fault(`REST edit ${seq} failed: ${error}`);
            answer(null);
          },
        );
      });
    });
  }
}
