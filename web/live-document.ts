/**
 * One open document: a Y.Doc, the stock y-websocket provider that keeps it in step with the server, and what is known
 * about its safety. It knows nothing of the editor.
 *
 * The wire tells nobody what role they have, and refuses a write with an auth message. So whoever shows the document asks
 * for its role again over REST when such a message comes, and after each reconnect; and pages tell each other in their
 * awareness when they have changed a role or the title (`news`), so that the others need not wait for that.
 *
 * Close codes from 4400 to 4499 are permanent to the provider. 4401 is answered with a fresh token; all others end the
 * document, and `ended` says why.
 */
import * as decoding from 'lib0/decoding';
import { WebsocketProvider } from 'y-websocket';
import * as Y from 'yjs';
import { CLOSE } from '../src/protocol/close.ts';
import { DOCUMENT_FULL, MESSAGE, SYNC } from '../src/protocol/yjs-wire.ts';
import { colorOf } from './colors.ts';
import { type SaveWord, saveWord, Unacked } from './save-state.ts';
import { type Session, SignedOut, type User } from './session.ts';

/** Whoever shows a document is told of these. */
export interface LiveWatcher {
  /** The word of the indicator may be another, or somebody came, moved or went. */
  changed(): void;
  /** The text has come, for the first time or after a reconnect. */
  synced(): void;
  /** What one may do with the document, or its title, may have changed. `refused`: the server refused an edit. */
  newsCame(refused: boolean): void;
  /** The server refused an edit because the document is full; it takes it by itself once there is room. */
  full(): void;
  /** The server closed the connection for good, with one of the codes of src/protocol/close.ts. */
  ended(code: number): void;
}

/** Where a refused connection is tried again. */
const RETRY_MS = 2_000;

/** See the head of this file. */
export class LiveDocument {
  readonly doc = new Y.Doc();
  readonly text = this.doc.getText('content');
  readonly provider: WebsocketProvider;
  #may_edit = true;
  #watcher: LiveWatcher | null = null;
  readonly #unacked = new Unacked();
  #opened = false;
  #lost_since: number | null = performance.now();
  #settled_at = Number.NEGATIVE_INFINITY;
  #news_seen = new Map<number, unknown>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #destroyed = false;

  constructor(
    readonly id: string,
    readonly user: User,
    private readonly session: Session,
  ) {
    const { doc } = this;
    this.provider = new WebsocketProvider(`${location.origin.replace(/^http/, 'ws')}/v1/yjs`, id, doc, {
      connect: false,
      // Tabs would give each other edits that the server has refused to one of them.
      disableBc: true,
      WebSocketPolyfill: countingSocket((whole) => this.#unacked.sent(whole)),
    });
    this.provider.awareness.setLocalState({ user: { name: user.display_name, color: colorOf(user.id) } });
    this.#listen();
    void this.#connect(() => session.token());
  }

  /** Whether the one who types may edit; the indicator depends on it. */
  get may_edit(): boolean {
    return this.#may_edit;
  }

  set may_edit(may_edit: boolean) {
    if (may_edit === this.#may_edit) return;
    this.#may_edit = may_edit;
    // It may say something that is over by itself in a moment, and has to be looked at again then.
    this.#changed();
  }

  /** What the indicator says now. */
  get word(): SaveWord {
    return saveWord(this.#facts()).word;
  }

  /** Whether the text has come. */
  get is_opened(): boolean {
    return this.#opened;
  }

  /** Whether an edit of one's own is not known to be safe. */
  get has_unsaved(): boolean {
    return this.#unacked.since !== null;
  }

  /** Says who is to be told; null for nobody. */
  watch(watcher: LiveWatcher | null): void {
    this.#watcher = watcher;
  }

  /** Tells the other pages that the title or somebody's role is another. */
  tellNews(): void {
    this.provider.awareness.setLocalStateField('news', Date.now());
  }

  /** Connects anew: whatever the server lacks is sent again. */
  reconnect(): void {
    this.provider.disconnect();
    void this.#connect(() => this.session.token());
  }

  /** Ends everything. */
  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#watcher = null;
    clearTimeout(this.#timer);
    window.removeEventListener('online', this.#lineChanged);
    window.removeEventListener('offline', this.#lineChanged);
    window.removeEventListener('pagehide', this.#hidden);
    window.removeEventListener('pageshow', this.#shown);
    this.provider.destroy();
    this.doc.destroy();
  }

  #listen(): void {
    const { provider, doc } = this;
    provider.messageHandlers[MESSAGE.ACK] = (_, decoder) => {
      decoding.readVarUint(decoder); // epoch
      decoding.readVarUint(decoder); // revision; of one's own edits only the count of frames tells
      if (decoding.hasContent(decoder)) this.#acked(decoding.readVarUint(decoder));
    };
    provider.messageHandlers[MESSAGE.AUTH] = (_, decoder) => {
      decoding.readVarUint(decoder); // 0: a write was refused
      if (decoding.readVarString(decoder) === DOCUMENT_FULL) this.#watcher?.full();
      else this.#watcher?.newsCame(true);
    };
    provider.on('status', ({ status }) => {
      if (status === 'connected') this.#unacked.opened();
      else if (!provider.wsconnected) this.#lost_since ??= performance.now();
      this.#changed();
    });
    provider.on('sync', (synced) => {
      if (!synced) return;
      this.#opened = true;
      this.#lineChanged();
      this.#watcher?.synced();
    });
    provider.on('closed', ({ code }) => this.#closed(code));
    // After the provider's own listener, so that what it sent is counted.
    doc.on('update', (_update: Uint8Array, origin: unknown) => {
      if (origin === provider) return;
      this.#unacked.edited(performance.now());
      this.#changed();
    });
    provider.awareness.on('change', ({ added, updated }: { added: number[]; updated: number[] }) => {
      if (this.#learnNews([...added, ...updated])) this.#watcher?.newsCame(false);
      this.#keepColorsApart();
      this.#watcher?.changed();
    });
    window.addEventListener('online', this.#lineChanged);
    window.addEventListener('offline', this.#lineChanged);
    window.addEventListener('pagehide', this.#hidden);
    window.addEventListener('pageshow', this.#shown);
  }

  /** A browser that knows it is offline knows it long before the socket does. */
  readonly #lineChanged = (): void => {
    if (this.provider.synced && navigator.onLine) this.#lost_since = null;
    else this.#lost_since ??= performance.now();
    this.#changed();
  };

  /** A browser may keep a page that was left, its socket included, for when somebody goes back; meanwhile nobody is here. */
  readonly #hidden = (): void => this.provider.disconnect();

  readonly #shown = ({ persisted }: PageTransitionEvent): void => {
    if (persisted) this.reconnect();
  };

  #acked(frames: number): void {
    const waited = this.has_unsaved;
    this.#unacked.acked(frames);
    if (waited && !this.has_unsaved) this.#settled_at = performance.now();
    this.#changed();
  }

  /** Whether one of these clients, known before, has news since. */
  #learnNews(clients: readonly number[]): boolean {
    let fresh = false;
    for (const client of clients) {
      const news = this.provider.awareness.getStates().get(client)?.news;
      if (this.#news_seen.has(client) && this.#news_seen.get(client) !== news) fresh ||= client !== this.doc.clientID;
      this.#news_seen.set(client, news);
    }
    return fresh;
  }

  /** Of two people in one colour the one whose id comes later takes another. */
  #keepColorsApart(): void {
    const { awareness } = this.provider;
    const own: { color?: unknown } = awareness.getLocalState()?.user ?? {};
    const others = [...awareness.getStates().values()].flatMap(({ user }) =>
      typeof user?.id === 'string' && user.id !== this.user.id ? [user as { id: string; color?: unknown }] : [],
    );
    if (!others.some(({ id, color }) => color === own.color && id < this.user.id)) return;
    const color = colorOf(this.user.id, new Set(others.map((other) => String(other.color))));
    if (color !== own.color) awareness.setLocalStateField('user', { ...own, color });
  }

  #closed(code: number): void {
    if (code !== CLOSE.UNAUTHENTICATED) return this.#watcher?.ended(code);
    const refused = this.provider.params.token ?? '';
    void this.#connect(() => this.session.replace(refused));
  }

  async #connect(getToken: () => Promise<string>): Promise<void> {
    try {
      const token = await getToken();
      if (this.#destroyed) return;
      this.provider.params = { token, acks: '2' };
      this.provider.connect();
    } catch (error) {
      // Once somebody has signed in again, the document is opened anew or taken over with its unsaved edits.
      if (this.#destroyed || error instanceof SignedOut) return;
      setTimeout(() => void this.#connect(getToken), RETRY_MS);
    }
  }

  #facts() {
    return {
      now: performance.now(),
      may_edit: this.#may_edit,
      opened: this.#opened,
      lost_since: this.#lost_since,
      unacked_since: this.#unacked.since,
      settled_at: this.#settled_at,
    };
  }

  #changed(): void {
    clearTimeout(this.#timer);
    const { again_ms } = saveWord(this.#facts());
    if (again_ms !== null) this.#timer = setTimeout(() => this.#changed(), again_ms);
    this.#watcher?.changed();
  }
}

/** A WebSocket that reports each frame of the sync protocol that carries an update, and whether it was a whole difference. */
function countingSocket(sent: (whole: boolean) => void): typeof WebSocket {
  return class CountingSocket extends WebSocket {
    override send(frame: string | ArrayBufferLike | Blob | ArrayBufferView): void {
      super.send(frame as ArrayBuffer);
      if (!(frame instanceof Uint8Array) || this.readyState !== WebSocket.OPEN) return;
      if (frame[0] === MESSAGE.SYNC && frame[1] !== SYNC.STEP1) sent(frame[1] === SYNC.STEP2);
    }
  };
}
