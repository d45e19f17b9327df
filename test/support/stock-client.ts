/** The stock provider of y-websocket, for tests, with its document, as an editor would set it up. */
import { WebsocketProvider } from 'y-websocket';
import * as Y from 'yjs';
import { TEXT_ROOT } from '../../src/protocol/snapshot.ts';
import { untilChange } from './arrivals.ts';
import type { TestServer, TestUser } from './server.ts';

/** See the head of this file. */
export class StockClient {
  readonly doc: Y.Doc;
  readonly provider: WebsocketProvider;

  constructor(server: TestServer, doc_id: string, who: TestUser, doc: Y.Doc = new Y.Doc()) {
    this.doc = doc;
    this.provider = new WebsocketProvider(`${server.ws_url}/v1/yjs`, doc_id, doc, {
      params: { token: who.token },
      // Providers of one process would otherwise talk to each other past the server.
      disableBc: true,
    });
  }

  get text(): Y.Text {
    return this.doc.getText(TEXT_ROOT);
  }

  get awareness(): WebsocketProvider['awareness'] {
    return this.provider.awareness;
  }

  /** Waits until the provider calls itself synchronised. */
  synced(): Promise<void> {
    return this.until('being synced', () => this.provider.synced);
  }

  /** Waits until the text reads so. */
  reads(text: string): Promise<void> {
    return this.until(`the text ${JSON.stringify(text)}`, () => this.text.toString() === text);
  }

  /** Waits until `holds`; looks whenever the document, the presence or the connection changes. */
  until(what: string, holds: () => boolean): Promise<void> {
    return untilChange(
      what,
      holds,
      (look) => {
        this.doc.on('update', look);
        this.awareness.on('update', look);
        for (const event of EVENTS) this.provider.on(event, look);
        return () => {
          this.doc.off('update', look);
          this.awareness.off('update', look);
          for (const event of EVENTS) this.provider.off(event, look);
        };
      },
      () => `the text is ${this.text.toString()}`,
    );
  }

  /** Ends provider, awareness and document. */
  destroy(): void {
    this.provider.destroy();
    this.awareness.destroy();
    this.doc.destroy();
  }
}

const EVENTS = ['sync', 'status', 'connection-close', 'closed'] as const;
