/**
 * Those who edit the document in the fuzz: Concord's own JSON client, the stock Yjs provider, and a program that sends
 * edits over REST. Each tells what it does, and each is asked for its view of the text at the end.
 */
import type { Op } from 'quill-delta';
import Delta from 'quill-delta';
import { WebsocketProvider } from 'y-websocket';
import * as Y from 'yjs';
import { ConcordClient } from '../../client/client.ts';
import { platform } from '../../client/environment.ts';
import { TEXT_ROOT } from '../../src/protocol/snapshot.ts';
import type { TestAnswer, TestServer, TestUser } from '../support/server.ts';
import { until } from '../support/until.ts';
import { type Dice, deletedBy, flatText, newText, randomDelta } from './edits.ts';
import { Line } from './line.ts';

/** Where one actor stands. */
export interface Stage {
  readonly server: TestServer;
  readonly doc_id: string;
  readonly user: TestUser;
  readonly name: string;
  /** The same in every run of a seed. */
  readonly client_id: string;
  /** Whether revisions that are not on disk may be lost, and their numbers come to name other texts. */
  readonly lossy: boolean;
  /** The actor's own, so that what it does next does not depend on how long others took. */
  readonly dice: Dice;
  readonly ledger: Ledger;
  note(what: string, detail?: unknown): void;
}

/** What must be found in the document at the end, and what may be. */
export class Ledger {
  /** Characters that were typed once, each by one edit. */
  readonly typed = new Set<string>();
  /** Those that somebody deleted, or that an unanswered request may have written or not. */
  readonly doubtful = new Set<string>();
  /** What went wrong on the way. */
  readonly faults: string[] = [];
  /** Whether what was typed once may have been written again by a restore. */
  rewritten = false;
  #next = 0xe000;

  /** A character that nobody else types; null every other time, for an edit without one. */
  marker(dice: Dice): string | null {
    return dice.once(2) ? String.fromCharCode(this.#next++) : null;
  }

  /** An edit was made to a document with this flat text. */
  edited(edit: Delta, text: string): void {
    for (const { insert } of edit.ops) if (typeof insert === 'string' && isMarker(insert)) this.typed.add(insert);
    this.doubt(deletedBy(edit, text));
  }

  /** The same of an edit that was answered only now: a restore in between may have taken it away already. */
  answered(edit: Delta, text: string): void {
    this.edited(edit, text);
    if (this.rewritten) for (const { insert } of edit.ops) if (typeof insert === 'string') this.doubt(insert);
  }

  /** The document was taken back to some earlier text. */
  restored(): void {
    this.rewritten = true;
    for (const marker of this.typed) this.doubtful.add(marker);
  }

  /** This text may be there or not. */
  doubt(text: string): void {
    for (const unit of text) this.doubtful.add(unit);
  }
}

/** Whether a character is one that {@link Ledger.marker} gave out. */
export function isMarker(text: string): boolean {
  return /^[\ue000-\uf8ff]$/.test(text);
}

/** A reconnect is not waited for longer than this; a line that is only slow keeps its real patience. */
const BACKOFF_MS_MAX = 15_000;
const HURRY = 100;

/** Somebody with Concord's own client. */
export class JsonActor {
  readonly line = new Line();
  readonly client: ConcordClient;
  /** What an editor that follows the client's changes shows. */
  shown = new Delta();

  constructor(readonly stage: Stage) {
    const { server, doc_id, dice, client_id, user, ledger } = stage;
    this.client = new ConcordClient({
      url: server.url,
      doc_id,
      client_id,
      token: () => user.token,
      environment: {
        ...platform,
        random: () => dice.random.float(),
        openSocket: (url) => this.line.openSocket(url),
        after: (delay_ms, callback) =>
          platform.after(delay_ms < BACKOFF_MS_MAX ? delay_ms / HURRY : delay_ms, callback),
      },
    });
    this.client.on('change', ({ delta, author }) => {
      this.shown = this.shown.compose(delta);
      stage.note(author === null ? 'content' : 'heard', delta.ops);
      if (author?.client_id === client_id)
        ledger.faults.push(`${stage.name} and the server understood an edit differently: ${JSON.stringify(delta.ops)}`);
    });
    this.client.on('refused', ({ code, message, delta }) => {
      ledger.faults.push(`${stage.name} was refused an edit: ${code} ${message} ${JSON.stringify(delta.ops)}`);
      stage.note(`REFUSED ${code} ${message}`, delta.ops);
    });
    this.client.on('connection', (state) => stage.note(`line ${state.kind}`));
    this.client.connect();
  }

  get content(): Delta {
    return this.client.content;
  }

  edit(): void {
    const { stage, client } = this;
    const text = flatText(client.content.ops);
    const edit = randomDelta(stage.dice, text, stage.ledger.marker(stage.dice));
    stage.note('types', edit.ops);
    stage.ledger.edited(edit, text);
    this.shown = this.shown.compose(edit);
    client.apply(edit);
  }

  disturb(): void {
    const { stage, line, client } = this;
    if (client.connection.kind === 'closed') {
      stage.note('comes back');
      client.connect();
    } else if (line.held) {
      stage.note('released');
      line.release();
    } else if (stage.dice.once(5)) {
      stage.note('leaves');
      client.close();
    } else if (stage.dice.once(3)) {
      stage.note('cut');
      line.cut();
    } else {
      stage.note('held');
      line.hold();
    }
  }

  calm(): void {
    this.line.release();
    this.client.connect();
  }

  end(): void {
    this.client.close();
  }
}

/** y-protocols' type of message for refusals. */
const DENIED = 2;

/** Somebody with the stock provider. */
export class YjsActor {
  readonly line = new Line();
  readonly doc = new Y.Doc();
  readonly provider: WebsocketProvider;
  /** Whether the server refused something of it. */
  denied = false;

  constructor(readonly stage: Stage) {
    const { user, client_id } = stage;
    // The same in every run of a seed: ties between concurrent inserts are settled by it.
    this.doc.clientID = stage.dice.random.uint32();
    this.provider = new WebsocketProvider(`${stage.server.ws_url}/v1/yjs`, stage.doc_id, this.doc, {
      disableBc: true,
      maxBackoffTime: 5,
      params: { token: user.token, client_id },
      WebSocketPolyfill: this.line.WebSocket,
    });
    this.text.observe(({ delta, transaction }) => {
      if (!transaction.local) stage.note('heard', delta);
    });
    // Its own handler prints. A viewer's Yjs tidies up formatting by itself and is told that it may not.
    this.provider.messageHandlers[DENIED] = () => {
      this.denied = true;
      stage.note('denied');
    };
    this.provider.on('status', ({ status }) => stage.note(`line ${status}`));
  }

  get text(): Y.Text {
    return this.doc.getText(TEXT_ROOT);
  }

  get content(): Delta {
    return new Delta(this.text.toDelta() as Op[]);
  }

  edit(): void {
    const { dice } = this.stage;
    if (dice.once(6)) return this.#otherRoots();
    const flat = flatText(this.text.toDelta() as Op[]);
    const edit = randomDelta(dice, flat, this.stage.ledger.marker(dice));
    const inherits = dice.once(3);
    this.stage.note(inherits ? 'types with inherited format' : 'types', edit.ops);
    this.stage.ledger.edited(edit, flat);
    if (inherits) this.doc.transact(() => this.#write(edit));
    else this.text.applyDelta(structuredClone(edit.ops));
  }

  disturb(): void {
    const { stage, line, provider } = this;
    if (!provider.shouldConnect) {
      stage.note('connects');
      provider.connect();
    } else if (line.held) {
      stage.note('released');
      line.release();
    } else if (stage.dice.once(4)) {
      stage.note('disconnects');
      provider.disconnect();
    } else if (stage.dice.once(3)) {
      stage.note('cut');
      line.cut();
    } else {
      stage.note('held');
      line.hold();
    }
  }

  calm(): void {
    this.line.release();
    this.provider.connect();
  }

  end(): void {
    this.provider.awareness.destroy();
    this.provider.destroy();
    this.doc.destroy();
  }

  /** As an editor binding writes: text takes the format of where it lands unless it says otherwise. */
  #write(edit: Delta): void {
    let index = 0;
    for (const { insert, delete: gone, retain, attributes } of edit.ops) {
      if (typeof insert === 'string') {
        this.text.insert(index, insert, attributes);
        index += insert.length;
      } else if (insert !== undefined) {
        this.text.insertEmbed(index, insert, attributes);
        index += 1;
      } else if (gone !== undefined) this.text.delete(index, gone);
      else if (typeof retain === 'number') {
        if (attributes !== undefined) this.text.format(index, retain, attributes);
        index += retain;
      }
    }
  }

  #otherRoots(): void {
    const { dice } = this.stage;
    const map = this.doc.getMap('meta');
    const list = this.doc.getArray('list');
    const key = dice.pick(['a', 'b', 'c']);
    const kind = dice.below(4);
    this.stage.note(`other root ${kind} ${key}`);
    if (kind === 0) map.set(key, newText(dice, null));
    else if (kind === 1) map.delete(key);
    else if (kind === 2) list.insert(dice.below(list.length + 1), [newText(dice, null)]);
    else if (list.length > 0) list.delete(dice.below(list.length), 1);
  }
}

/** A numbered edit over REST. */
export interface RestEdit {
  readonly body: {
    readonly changes: { readonly delta: Op[]; readonly base_rev?: number };
    readonly client_id?: string;
    readonly seq?: number;
  };
  rev: number | null;
}

/** A program. It numbers some of its edits, sends those again at random, and works on text that it read some time ago. */
export class RestActor {
  /** Numbered edits that were taken, to be looked for in the journal. */
  readonly taken: RestEdit[] = [];
  #read: { rev: number; text: string } = { rev: 0, text: '' };
  /** One numbered edit at a time, in order; whatever else is under way is waited for at the end. */
  #chain: Promise<void> = Promise.resolve();
  readonly #loose: Promise<void>[] = [];

  constructor(readonly stage: Stage) {}

  act(): void {
    const { dice } = this.stage;
    const kind = dice.below(6);
    if (kind === 0) this.#loose.push(this.#readNow());
    else if (kind === 1) this.#loose.push(this.#atHead());
    else if (kind === 2 && this.taken.length > 0) this.#loose.push(this.#again(dice.below(this.taken.length)));
    else this.#chain = this.#chain.then(() => this.#numbered());
  }

  /** Resolves when nothing is under way. */
  async calm(): Promise<void> {
    await this.#chain;
    await Promise.all(this.#loose);
  }

  async #readNow(): Promise<void> {
    const { doc_id, lossy, server } = this.stage;
    const [head] = lossy ? await server.sql`SELECT head_rev FROM document_heads WHERE doc_id = ${doc_id}` : [];
    const at = head === undefined ? '' : `?rev=${head.head_rev}`;
    const answer = await this.#call('GET', `/v1/documents/${doc_id}/content${at}`);
    if (answer?.body.success)
      this.#read = { rev: answer.body.data.rev, text: flatText(answer.body.data.value as Op[]) };
  }

  /** An edit that names no base: it may only touch what is surely there, so it goes to the start. */
  async #atHead(): Promise<void> {
    const { dice, ledger } = this.stage;
    const text = newText(dice, ledger.marker(dice));
    const delta = new Delta().insert(text, dice.once(3) ? { italic: true } : undefined);
    const edit: RestEdit = { body: { changes: { delta: delta.ops } }, rev: null };
    if ((await this.#post(edit)) === 503) ledger.doubt(text);
    ledger.answered(delta, '');
  }

  async #numbered(): Promise<void> {
    const { dice, ledger } = this.stage;
    if (dice.once(2)) await this.#readNow();
    const { rev, text } = this.#read;
    const delta = randomDelta(dice, text, ledger.marker(dice));
    const { client_id } = this.stage;
    const body = { changes: { delta: delta.ops, base_rev: rev }, client_id, seq: this.taken.length + 1 };
    const edit: RestEdit = { body, rev: null };
    // Twice at once, now and then, as a caller that lost patience would.
    const answers = await Promise.all(dice.once(4) ? [this.#post(edit), this.#post(edit)] : [this.#post(edit)]);
    if (answers.every((status) => status === 503))
      await until('an edit over REST to be taken', async () => (await this.#post(edit)) !== 503);
    // What was refused (its base had left the window) used up no seq. What was refused after a 503 had been shown around
    // by an owner that was lost: nothing can make a Yjs client undelete, so what it deleted may stay away.
    if (edit.rev === null) return ledger.doubt(deletedBy(delta, text));
    this.taken.push(edit);
    ledger.answered(delta, text);
  }

  async #again(index: number): Promise<void> {
    const edit = this.taken[index];
    if (edit !== undefined) await this.#post(edit);
  }

  /** Sends an edit; returns the status, and notes the revision, which must be the same whenever it is sent. */
  async #post(edit: RestEdit): Promise<number> {
    const { stage } = this;
    stage.note('posts', edit.body);
    const path = `/v1/documents/${stage.doc_id}/edits`;
    const answer = await this.#call('POST', path, edit.body);
    if (answer === null) return 503;
    const { status, body } = answer;
    stage.note(`was answered ${status} ${JSON.stringify(body.data ?? body.error)}`);
    if (!body.success) {
      if (status !== 503 && status !== 409)
        stage.ledger.faults.push(`rest was refused an edit: ${JSON.stringify(body.error)}`);
      return status;
    }
    const { rev } = body.data;
    if (edit.rev !== null && edit.rev !== rev)
      throw new Error(`REST edit ${edit.body.seq} became rev ${edit.rev}, and rev ${rev} when it was sent again`);
    edit.rev = rev;
    return status;
  }

  /** A call's answer; null when the server was away, and nobody knows what became of it. */
  #call(method: string, path: string, body?: unknown): Promise<TestAnswer | null> {
    const { server, user } = this.stage;
    return server.call(method, path, user.token, body).catch(() => {
      this.stage.note('got no answer');
      return null;
    });
  }
}
