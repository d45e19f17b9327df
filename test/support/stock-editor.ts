/** What a test asks of an editor with a stock provider, whichever it is: what it shows, and to wait for that. */
import type * as Y from 'yjs';
import { TEXT_ROOT } from '../../src/protocol/snapshot.ts';
import { WAIT_MS_MAX } from './arrivals.ts';

/** See the head of this file. */
export abstract class StockEditor {
  abstract readonly doc: Y.Doc;
  abstract readonly provider: { readonly synced: boolean };

  /** Calls `look` whenever the document, the presence or the connection changes, until what it returns is called. */
  protected abstract watch(look: () => void): () => void;

  get text(): Y.Text {
    return this.doc.getText(TEXT_ROOT);
  }

  /** Waits until the provider calls itself synchronised. */
  synced(): Promise<void> {
    return this.until('being synced', () => this.provider.synced);
  }

  /** Waits until the text reads so. */
  reads(text: string): Promise<void> {
    return this.until(`the text ${JSON.stringify(text)}`, () => this.text.toString() === text);
  }

  /** Waits until `holds`; looks whenever something changes. Rejects when time is up. */
  until(what: string, holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const unwatch = this.watch(() => {
        if (!holds()) return;
        clearTimeout(timer);
        unwatch();
        resolve();
      });
      const timer = setTimeout(() => {
        unwatch();
        reject(new Error(`${WAIT_MS_MAX} ms passed while waiting for ${what}; the text is ${this.text.toString()}`));
      }, WAIT_MS_MAX);
    });
  }
}
