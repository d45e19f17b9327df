/** The line's rules, on a clock and sockets that the test drives. What real sockets do is in client.test.ts. */
import { describe, expect, test } from 'bun:test';
import { ManualClock } from '../src/base/clock.ts';
import { Connection, type ConnectionState } from './connection.ts';
import type { Environment, Socket } from './environment.ts';

class TestSocket implements Socket {
  onopen: Socket['onopen'] = null;
  onmessage: Socket['onmessage'] = null;
  onclose: Socket['onclose'] = null;
  onerror: Socket['onerror'] = null;
  readonly sent: string[] = [];
  closed = false;

  constructor(readonly url: string) {}

  send(text: string): void {
    this.sent.push(text);
  }

  close(): void {
    this.closed = true;
  }
}

/** A connection whose owner takes the first frame of every socket for the server's welcome. */
class Rig {
  readonly clock = new ManualClock();
  readonly sockets: TestSocket[] = [];
  readonly states: ConnectionState[] = [];
  readonly frames: unknown[] = [];
  readonly asked: boolean[] = [];
  /** What the next address is; an Error is thrown. */
  address: string | Error = 'ws://server';
  chance = 0.5;
  readonly connection: Connection;

  constructor() {
    const environment: Environment = {
      openSocket: (url) => {
        if (url === 'nonsense') throw new SyntaxError('not an address');
        this.sockets.push(new TestSocket(url));
        return this.socket;
      },
      now: () => this.clock.now(),
      after: (delay_ms, callback) => this.clock.after(delay_ms, callback).cancel,
      random: () => this.chance,
      randomId: () => 'unused',
    };
    this.connection = new Connection(environment, {
      address: async (refused) => {
        this.asked.push(refused);
        if (this.address instanceof Error) throw this.address;
        return this.address;
      },
      frame: (data) => {
        this.frames.push(data);
        this.connection.established();
      },
      changed: (state) => this.states.push(state),
    });
  }

  get socket(): TestSocket {
    const socket = this.sockets.at(-1);
    if (socket === undefined) throw new Error('no socket was opened');
    return socket;
  }

  /** Starts, and lets the address come. */
  async start(): Promise<void> {
    this.connection.open();
    await this.turn();
  }

  async open(): Promise<void> {
    await this.start();
    this.socket.onmessage?.({ data: 'welcome' });
  }

  /** Lets promises settle. */
  async turn(): Promise<void> {
    for (let i = 0; i < 5; i += 1) await null;
  }

  async closeWith(code: number, reason = ''): Promise<void> {
    this.socket.onclose?.({ code, reason });
    await this.turn();
  }

  async advance(duration_ms: number): Promise<void> {
    this.clock.advance(duration_ms);
    await this.turn();
  }

  /** How long the connection waits until its next attempt. */
  get delay(): number | null {
    const { state } = this.connection;
    return state.kind === 'waiting' ? state.delay_ms : null;
  }
}

describe('a line that breaks', () => {
  test.each([1000, 1001, 1005, 1006, 1009, 1011, 1012, 1013])('by %i comes back', async (code) => {
    const rig = new Rig();
    await rig.open();
    await rig.closeWith(code);
    expect(rig.connection.state.kind).toBe('waiting');
    await rig.advance(20_000);
    expect(rig.sockets).toHaveLength(2);
    rig.socket.onmessage?.({ data: 'welcome' });
    expect(rig.connection.state).toEqual({ kind: 'open' });
  });

  test('is waited for longer after each failure, up to a bound, and a random part of that', async () => {
    const rig = new Rig();
    rig.chance = 0.999;
    await rig.open();
    const delays: number[] = [];
    for (let i = 0; i < 8; i += 1) {
      await rig.closeWith(1006);
      delays.push(Math.round(rig.delay ?? 0));
      await rig.advance(15_000);
    }
    expect(delays).toEqual([500, 999, 1998, 3996, 7992, 14985, 14985, 14985]);
    rig.chance = 0;
    await rig.closeWith(1006);
    expect(rig.delay).toBe(0);
    await rig.advance(1);
    rig.chance = 0.999;
    rig.socket.onmessage?.({ data: 'welcome' });
    await rig.closeWith(1006);
    expect(Math.round(rig.delay ?? 0)).toBe(500);
  });

  test('because the server has too much to do is left alone for a second at least', async () => {
    const rig = new Rig();
    rig.chance = 0;
    await rig.open();
    await rig.closeWith(1013);
    expect(rig.delay).toBe(1_000);
  });

  test('is tried at once when the application asks for it', async () => {
    const rig = new Rig();
    await rig.open();
    await rig.closeWith(1006);
    await rig.start();
    expect(rig.sockets).toHaveLength(2);
    // The attempt that was planned does not come on top of it.
    await rig.advance(9_000);
    expect(rig.sockets).toHaveLength(2);
  });

  test.each([4400, 4403, 4404, 4409, 4413, 4499])('by %i stays closed, and says why', async (code) => {
    const rig = new Rig();
    await rig.open();
    await rig.closeWith(code, 'the reason');
    expect(rig.connection.state).toEqual({ kind: 'closed', code, reason: 'the reason' });
    await rig.advance(600_000);
    expect(rig.sockets).toHaveLength(1);
  });
});

describe('a token that is turned away', () => {
  test('is replaced once, at once; when the new one is turned away too, that is the end', async () => {
    const rig = new Rig();
    await rig.open();
    await rig.closeWith(4401);
    expect(rig.asked).toEqual([false, true]);
    expect(rig.sockets).toHaveLength(2);
    await rig.closeWith(4401, 'signed out');
    expect(rig.connection.state).toEqual({ kind: 'closed', code: 4401, reason: 'signed out' });
  });

  test('may be replaced again after the new one was welcome', async () => {
    const rig = new Rig();
    for (let i = 0; i < 3; i += 1) {
      await rig.open();
      await rig.closeWith(4401);
    }
    expect(rig.connection.state.kind).toBe('connecting');
  });

  test('and cannot be had for the moment is asked for again later', async () => {
    const rig = new Rig();
    rig.address = new Error('offline');
    await rig.start();
    expect(rig.connection.state).toMatchObject({ kind: 'waiting', reason: 'no token: offline' });
    rig.address = 'ws://server';
    await rig.advance(1_000);
    expect(rig.sockets).toHaveLength(1);
  });
});

describe('a line that is silent', () => {
  test('is asked after 20 s and given up after 10 more; whatever it says then is not heard', async () => {
    const rig = new Rig();
    await rig.open();
    const [first] = rig.sockets;
    await rig.advance(19_999);
    expect(first?.sent).toEqual([]);
    await rig.advance(1);
    expect(first?.sent).toEqual(['{"type":"ping"}']);
    await rig.advance(9_999);
    expect(rig.connection.state.kind).toBe('open');
    await rig.advance(1);
    expect(rig.connection.state).toMatchObject({ kind: 'waiting', reason: 'the server is silent' });
    expect(first).toMatchObject({ closed: true, onmessage: null, onclose: null });
  });

  test('lives on when it answers', async () => {
    const rig = new Rig();
    await rig.open();
    for (let minute = 0; minute < 10; minute += 1) {
      await rig.advance(25_000);
      rig.socket.onmessage?.({ data: 'pong' });
    }
    expect(rig.connection.state.kind).toBe('open');
    expect(rig.socket.sent).toHaveLength(10);
  });

  test('from the beginning is given up after 10 s', async () => {
    const rig = new Rig();
    await rig.start();
    await rig.advance(9_999);
    expect(rig.connection.state.kind).toBe('connecting');
    await rig.advance(1);
    expect(rig.connection.state.kind).toBe('waiting');
  });
});

describe('a connection', () => {
  test('that is closed by its owner tries nothing more, not even with an address that comes late', async () => {
    const rig = new Rig();
    rig.connection.open();
    rig.connection.close();
    await rig.advance(600_000);
    expect(rig.sockets).toHaveLength(0);
    await rig.open();
    rig.connection.close();
    expect(rig.connection.state).toEqual({ kind: 'closed', code: null, reason: '' });
    expect(rig.socket.closed).toBe(true);
    await rig.advance(600_000);
    expect(rig.sockets).toHaveLength(1);
  });

  test('sends nothing before it is open and nothing after', async () => {
    const rig = new Rig();
    rig.connection.send('too early');
    await rig.start();
    rig.connection.send('too early');
    rig.socket.onmessage?.({ data: 'welcome' });
    rig.connection.send('in time');
    const { socket } = rig;
    await rig.closeWith(1006);
    rig.connection.send('too late');
    expect(socket.sent).toEqual(['in time']);
  });

  test('whose owner gives the socket up gets another', async () => {
    const rig = new Rig();
    await rig.open();
    rig.connection.restart('it makes no sense');
    expect(rig.connection.state).toMatchObject({ kind: 'waiting', reason: 'it makes no sense' });
    await rig.advance(1_000);
    expect(rig.sockets).toHaveLength(2);
  });

  test('to an address that is none goes on trying, for the next may be one', async () => {
    const rig = new Rig();
    rig.address = 'nonsense';
    await rig.start();
    expect(rig.connection.state).toMatchObject({ kind: 'waiting', reason: 'no socket: not an address' });
  });
});
