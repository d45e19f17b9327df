/** The stock provider of y-websocket, for tests, with its document, as an editor would set it up. */
import { WebsocketProvider } from 'y-websocket';
import * as Y from 'yjs';
import type { TestServer, TestUser } from './server.ts';
import { StockEditor } from './stock-editor.ts';

/** See the head of this file. */
export class StockClient extends StockEditor {
  override readonly doc: Y.Doc;
  override readonly provider: WebsocketProvider;

  constructor(server: TestServer, doc_id: string, who: TestUser, doc: Y.Doc = new Y.Doc()) {
    super();
    this.doc = doc;
    this.provider = new WebsocketProvider(`${server.ws_url}/v1/yjs`, doc_id, doc, {
      params: { token: who.token },
      // Providers of one process would otherwise talk to each other past the server.
      disableBc: true,
    });
  }

  get awareness(): WebsocketProvider['awareness'] {
    return this.provider.awareness;
  }

  protected override watch(look: () => void): () => void {
    this.doc.on('update', look);
    this.awareness.on('update', look);
    for (const event of EVENTS) this.provider.on(event, look);
    return () => {
      this.doc.off('update', look);
      this.awareness.off('update', look);
      for (const event of EVENTS) this.provider.off(event, look);
    };
  }

  /** Ends provider, awareness and document. */
  destroy(): void {
    this.provider.destroy();
    this.awareness.destroy();
    this.doc.destroy();
  }
}

const EVENTS = ['sync', 'status', 'connection-close', 'closed'] as const;
