/**
 * How many of a Hocuspocus provider's changes are on disk, counted as the provider counts them.
 *
 * The provider adds one for each update that it sends and takes one off for each SyncStatus(true); at zero it calls
 * everything saved. Its step 1 sets the count to one, which the step 2 that it then sends is to take off; any other step 2
 * was not counted. The document, for its part, says how many of the member's frames are on disk, steps 2 included
 * (actors/acks.ts). This stands between the two, so that the provider's zero never comes before the disk's.
 */

/** See the head of this file. */
export class SyncCount {
  /** Update frames handed to the document. */
  #handed = 0;
  /** How many of them are on disk. */
  #covered = 0;
  /** What was handed over before the provider began to count anew. */
  #forgiven = 0;
  /** Which frames the provider did not count, oldest first. */
  readonly #uncounted: number[] = [];
  /** A socket that has just come in is asked for its difference, whether it sent a step 1 or not. */
  #begun = true;

  /** A step 1 came: the provider counts from one again. */
  restarted(): void {
    this.#begun = true;
    this.#forgiven = this.#handed;
  }

  /** A frame goes to the document; `whole` if it is a step 2. */
  handed(whole: boolean): void {
    this.#handed += 1;
    if (!whole) return;
    if (this.#begun) this.#begun = false;
    else this.#uncounted.push(this.#handed);
  }

  /** The first `frames` frames are on disk. Returns how many changes the provider may take off. */
  covered(frames: number): number {
    const from = Math.max(this.#covered, this.#forgiven);
    this.#covered = Math.max(this.#covered, frames);
    let counted = Math.max(0, this.#covered - from);
    while (this.#uncounted[0] !== undefined && this.#uncounted[0] <= this.#covered)
      if ((this.#uncounted.shift() ?? 0) > from) counted -= 1;
    return counted;
  }
}
