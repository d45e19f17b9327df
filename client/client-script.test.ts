/** What the client makes of answers that a healthy server gives rarely or never: a script plays the server. */
import { describe, expect, test } from 'bun:test';
import Delta from 'quill-delta';
import { ManualClock } from '../src/base/clock.ts';
import { ConcordClient } from './client.ts';
import type { Socket } from './environment.ts';
import type { ReadyEvent } from './protocol.ts';

const CLIENT = '00000000-0000-4000-8000-000000000001';
const OTHER = '00000000-0000-4000-8000-000000000002';
const USER = '00000000-0000-4000-8000-000000000003';
const DOC = '00000000-0000-4000-8000-000000000004';

/** A client, and the server's side of whichever socket it has open. */
class Script {
  readonly clock = new ManualClock();
  readonly addresses: URL[] = [];
  readonly client: ConcordClient;
  /** What the client said over the present socket. */
  sent: Record<string, unknown>[] = [];
  #socket: Socket | null = null;

  constructor() {
    this.client = new ConcordClient({
      url: 'https://concord.example/base',
      doc_id: DOC,
      client_id: CLIENT,
      token: () => 'a token',
      environment: {
        openSocket: (url) => this.#open(url),
        now: () => this.clock.now(),
        after: (delay_ms, callback) => this.clock.after(delay_ms, callback).cancel,
        random: () => 0.5,
        randomId: () => CLIENT,
      },
    });
    this.client.connect();
  }

  /** Lets the client connect, if it waits for that. */
  async connected(): Promise<URL> {
    const before = this.addresses.length;
    for (let i = 0; i < 40 && this.addresses.length === before; i += 1) {
      for (let turn = 0; turn < 5; turn += 1) await null;
      this.clock.advance(500);
    }
    const address = this.addresses.at(-1);
    if (address === undefined) throw new Error('the client did not connect');
    return address;
  }

  say(event: object | string): void {
    this.#socket?.onmessage?.({ data: typeof event === 'string' ? event : JSON.stringify(event) });
  }

  ready(more: Partial<ReadyEvent> = {}): void {
    this.say({
      ...{ type: 'ready', doc_id: DOC, user_id: USER, client_id: CLIENT, role: 'editor', epoch: 1, rev: 1 },
      ...{ presence: [], last_seq: 0, timestamp: '', ...more },
    });
  }

  edit(rev: number, delta: object[], client_id = OTHER, seq: number | null = null): void {
    this.say({ type: 'edit', user_id: USER, doc_id: DOC, client_id, seq, changes: { rev, delta }, timestamp: '' });
  }

  error(code: string, more: object = {}): void {
    this.say({ type: 'error', code, message: 'no', seq: 1, ...more });
  }

  type(text: string): void {
    this.client.apply(new Delta().insert(text));
  }

  get text(): string {
    return this.client.content.ops.map(({ insert }) => insert).join('');
  }

  #open(url: string): Socket {
    this.addresses.push(new URL(url));
    this.sent = [];
    const socket: Socket = {
      ...{ onopen: null, onmessage: null, onclose: null, onerror: null, close: () => {} },
      send: (frame) => void this.sent.push(JSON.parse(frame)),
    };
    this.#socket = socket;
    return socket;
  }
}

async function openScript(): Promise<Script> {
  const script = new Script();
  await script.connected();
  script.ready({ content: [{ insert: 'ab' }] });
  return script;
}

/** The point that an address names, as `epoch/rev`. */
function pointOf(address: URL): string {
  return `${address.searchParams.get('epoch')}/${address.searchParams.get('rev')}`;
}

describe('the address', () => {
  test('names the token and the client, and from the second time on the point where the client stopped', async () => {
    const script = new Script();
    const first = await script.connected();
    expect(first.href).toBe(`wss://concord.example/base/v1/collab/${DOC}?token=a+token&client_id=${CLIENT}`);
    script.ready({ content: [{ insert: 'ab' }], rev: 7, epoch: 3 });
    script.edit(8, [{ insert: 'x' }]);
    script.say('not JSON');
    expect(pointOf(await script.connected())).toBe('3/8');
  });

  test('names the epoch of the last ack, when that is a later one', async () => {
    const script = await openScript();
    script.say({ type: 'ack', doc_id: DOC, epoch: 5, rev: 1 });
    script.say('not JSON');
    expect(pointOf(await script.connected())).toBe('5/1');
  });
});

describe('a revision', () => {
  test('that is missing ends the connection, and the next one begins where the client stopped', async () => {
    const script = await openScript();
    script.edit(3, [{ insert: 'x' }]);
    expect(script.text).toBe('ab');
    expect(pointOf(await script.connected())).toBe('1/1');
  });

  test('that came before is passed over', async () => {
    const script = await openScript();
    script.edit(1, [{ insert: 'x' }]);
    expect(script.text).toBe('ab');
    expect(script.client.connection.kind).toBe('open');
  });
});

describe('a server', () => {
  test('of an older epoch is left again until it is clear that there is no other', async () => {
    const script = await openScript();
    script.say({ type: 'ack', doc_id: DOC, epoch: 5, rev: 1 });
    script.say('not JSON');
    for (let i = 0; i < 7; i += 1) {
      await script.connected();
      script.ready({ epoch: 4, content: [{ insert: 'old' }] });
      expect(script.client.connection.kind).toBe('waiting');
    }
    await script.connected();
    script.ready({ epoch: 4, content: [{ insert: 'old' }] });
    expect(script.client.connection.kind).toBe('open');
    expect(script.text).toBe('old');
  });

  test('that accepts our point and holds less of us than we know is asked for the whole content', async () => {
    const script = await openScript();
    script.type('x');
    script.edit(2, [{ insert: 'x' }], CLIENT, 1);
    script.say('not JSON');
    expect(pointOf(await script.connected())).toBe('1/2');
    script.ready({ rev: 2, last_seq: 0 });
    expect(pointOf(await script.connected())).toBe('null/null');
    script.ready({ rev: 1, last_seq: 0, epoch: 2, content: [{ insert: 'ab' }] });
    expect(script.text).toBe('xab');
    expect(script.sent).toEqual([{ type: 'edit', changes: { base_rev: 1, delta: [{ insert: 'x' }] }, seq: 1 }]);
    // And only that once.
    script.say('not JSON');
    expect(pointOf(await script.connected())).toBe('2/1');
  });

  test('may say things that this client does not know', async () => {
    const script = await openScript();
    for (const event of [{ type: 'news' }, {}, null, 5, []]) script.say(JSON.stringify(event));
    expect(script.client.connection.kind).toBe('open');
  });
});

describe('an edit that is refused', () => {
  test.each(['RATE_LIMITED', 'UNAVAILABLE', 'INTERNAL'])(
    'with %s is sent again a little later, as it is by then',
    async (code) => {
      const script = await openScript();
      script.type('x');
      script.error(code);
      script.edit(2, [{ insert: 'other ' }]);
      expect(script.sent).toHaveLength(1);
      script.clock.advance(2_000);
      expect(script.sent.slice(1)).toEqual([
        { type: 'edit', changes: { base_rev: 2, delta: [{ retain: 6 }, { insert: 'x' }] }, seq: 1 },
      ]);
    },
  );

  test.each<[string, object]>([
    ['CONFLICT', {}],
    ['VALIDATION_ERROR', { details: [{ path: '/seq', message: 'skips: the next is 3' }] }],
  ])('for its place in the sequence (%s) makes the client start over with the whole content', async (code, more) => {
    const script = await openScript();
    script.type('x');
    script.error(code, more);
    expect(pointOf(await script.connected())).toBe('null/null');
    script.ready({ rev: 5, last_seq: 2, content: [{ insert: 'abx' }] });
    expect(script.text).toBe('abx');
    expect(script.sent).toEqual([]);
    script.type('y');
    expect(script.sent).toMatchObject([{ seq: 3 }]);
  });

  test('in another message than an edit, or another edit, changes nothing', async () => {
    const script = await openScript();
    const errors: unknown[] = [];
    script.client.on('error', (error) => errors.push(error));
    script.type('x');
    script.error('VALIDATION_ERROR', { seq: 9 });
    script.error('FORBIDDEN', { seq: undefined });
    expect(errors).toHaveLength(2);
    expect(script.text).toBe('xab');
  });
});

test('a listener that was taken away hears nothing more', async () => {
  const script = await openScript();
  const heard: unknown[] = [];
  const stop = script.client.on('change', ({ delta }) => heard.push(delta.ops));
  script.edit(2, [{ insert: 'x' }]);
  stop();
  script.edit(3, [{ insert: 'y' }]);
  expect(heard).toEqual([[{ insert: 'x' }]]);
  expect(script.text).toBe('yxab');
});
