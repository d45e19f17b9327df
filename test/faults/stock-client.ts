/**
 * The stock y-websocket provider as an editor would set it up, on whichever node a load balancer gives it. It knows of no
 * acknowledgements: what it made must be in the document once it is quiet, since it never goes away.
 */
import { WebsocketProvider } from 'y-websocket';
import * as Y from 'yjs';
import { afterThinking, type ClientParts } from './json-client.ts';
import { FILLER, nextPlace } from './ledger.ts';

const BACKOFF_MS_MAX = 500;

/** See the head of this file. */
export class StockClient {
  readonly doc = new Y.Doc();
  #typing = false;
  #n = 0;
  readonly #provider: WebsocketProvider;

  constructor(private readonly parts: ClientParts) {
    const { concord, doc_id, person, name, ledger } = parts;
    const address = () => `${concord.ws_url}/v1/yjs`;
    this.doc.clientID = parts.random.uint32();
    this.#provider = new WebsocketProvider(address(), doc_id, this.doc, {
      params: { token: person.token },
      // Providers of one process would otherwise talk to each other past the server.
      disableBc: true,
      connect: false,
      maxBackoffTime: BACKOFF_MS_MAX,
    });
    this.#provider.on('connection-close', () => {
      this.#provider.serverUrl = address();
    });
    this.#provider.on('closed', ({ code }: { code: number }) =>
      ledger.faults.push(`${name}: sent away for good with ${code}`),
    );
    this.#provider.on('sync', (synced: boolean) => {
      if (synced) ledger.count('joined');
    });
  }

  get name(): string {
    return this.parts.name;
  }

  /** The document that it edits. */
  get doc_id(): string {
    return this.parts.doc_id;
  }

  /** The text as the client shows it. */
  get text(): string {
    return this.doc.getText('content').toString();
  }

  /** Whether it is connected and was given everything. */
  get is_ready(): boolean {
    return this.#provider.wsconnected && this.#provider.synced;
  }

  get typing(): boolean {
    return this.#typing;
  }

  /** Makes an edit after each pause, connected or not, as long as it is true. */
  set typing(typing: boolean) {
    if (typing && !this.#typing) this.#typeOn();
    this.#typing = typing;
  }

  /** Connects, and comes back by itself until {@link leave}. */
  stay(): void {
    this.#provider.connect();
  }

  /** Makes one edit, connected or not: somewhere between markers, sometimes deleting a filler. */
  type(): string {
    const { ledger, doc_id, name, random } = this.parts;
    const content = this.doc.getText('content');
    const { text } = this;
    this.#n += 1;
    const marker = ledger.make(doc_id, name, this.#n);
    const place = nextPlace(text, Math.floor(random.float() * (text.length + 1)));
    this.doc.transact(() => {
      if (text[place] === FILLER) content.delete(place, 1);
      content.insert(place, marker, {});
    });
    return marker;
  }

  /** Leaves for good. */
  leave(): void {
    this.#provider.destroy();
    this.#provider.awareness.destroy();
  }

  #typeOn(): void {
    afterThinking({ think_ms: 100, ...this.parts }, () => {
      if (!this.#typing) return;
      this.type();
      this.#typeOn();
    });
  }
}
