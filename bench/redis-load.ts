/**
 * What Redis counts of itself, and what it carries: messages published as a node publishes them, as fast as it takes them,
 * to subscribers who do nothing but read. Both sides write prepared bytes and parse nothing, so that Redis, and not the
 * driver, is what is measured; its own processor time is what the figure is made of.
 */
import type { Socket } from 'bun';

/** A connection that sends commands of Redis's own wire and reads their answers as bytes. */
interface Wire {
  readonly socket: Socket<undefined>;
  /** Bytes that came. */
  received: number;
}

const encoder = new TextEncoder();

/** A command as Redis reads it. */
function command(...words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;
}

async function open(redis_url: string, drained: () => void = () => {}): Promise<Wire> {
  const { hostname, port, password } = new URL(redis_url);
  let received = 0;
  const socket = await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      data: (_socket, bytes) => {
        received += bytes.length;
      },
      drain: drained,
      error() {},
    },
  });
  socket.write(command('AUTH', decodeURIComponent(password)));
  return {
    socket,
    get received() {
      return received;
    },
  };
}

/** Numbers of `INFO` by their names; of a line like `cmdstat_get:calls=3,usec=4` those of its parts, as `cmdstat_get.calls`. */
export async function info(redis_url: string, section: string): Promise<Map<string, number>> {
  const client = new Bun.RedisClient(redis_url);
  const text = String(await client.send('INFO', [section]));
  client.close();
  const found = new Map<string, number>();
  for (const line of text.split('\r\n')) {
    const [name = '', value = ''] = line.split(':');
    if (!value.includes('=')) found.set(name, Number(value));
    else for (const part of value.split(',')) found.set(`${name}.${part.split('=')[0]}`, Number(part.split('=')[1]));
  }
  return found;
}

/** What Redis did between two looks. */
export interface Spent {
  readonly messages: number;
  readonly bytes_in: number;
  readonly bytes_out: number;
  readonly commands: number;
}

/** Looks twice: now, and when the function that it returns is called. */
export async function watch(redis_url: string): Promise<() => Promise<Spent>> {
  const look = async () => {
    const [stats, commands] = [await info(redis_url, 'stats'), await info(redis_url, 'commandstats')];
    const published = (commands.get('cmdstat_publish.calls') ?? 0) + (commands.get('cmdstat_spublish.calls') ?? 0);
    return {
      messages: published,
      bytes_in: stats.get('total_net_input_bytes') ?? 0,
      bytes_out: stats.get('total_net_output_bytes') ?? 0,
      commands: stats.get('total_commands_processed') ?? 0,
    };
  };
  const before = await look();
  return async () => {
    const after = await look();
    return {
      messages: after.messages - before.messages,
      bytes_in: after.bytes_in - before.bytes_in,
      bytes_out: after.bytes_out - before.bytes_out,
      commands: after.commands - before.commands,
    };
  };
}

/** What {@link carry} found. */
export interface Carried {
  /** Messages in all, each received by every subscriber of its channel. */
  readonly messages: number;
  readonly wall_s: number;
  /** Redis's processor time. */
  readonly processor_s: number;
}

/** How the load is made. */
export interface Load {
  readonly redis_url: string;
  /** Characters of a message. */
  readonly message_bytes: number;
  /** Messages in one command, as a node sends those of one turn; 1 is a plain PUBLISH. */
  readonly at_once: number;
  /** Subscribers of every channel. */
  readonly subscribers: number;
  readonly seconds: number;
}

const CHANNELS = 200;
/** What lies on the line and is not answered yet, at most. */
const AHEAD_BYTES = 4_000_000;
const PUBLISH_ALL = `for i = 1, #ARGV, 2 do redis.call('PUBLISH', ARGV[i], ARGV[i + 1]) end return 1`;

/** Has Redis carry as much as it can for some seconds. */
export async function carry({ redis_url, message_bytes, at_once, subscribers, seconds }: Load): Promise<Carried> {
  const channels = Array.from({ length: CHANNELS }, (_, i) => `load:${i}`);
  const listening = await Promise.all(Array.from({ length: subscribers }, () => open(redis_url)));
  for (const { socket } of listening) socket.write(command('SUBSCRIBE', ...channels));
  const message = 'x'.repeat(message_bytes);
  const commands = channels.flatMap((_, i) => {
    if (i % at_once !== 0) return [];
    const words = channels.slice(i, i + at_once).flatMap((channel) => [channel, message]);
    return [at_once === 1 ? command('PUBLISH', ...words) : command('EVAL', PUBLISH_ALL, '0', ...words)];
  });
  const batch = encoder.encode(commands.join(''));
  let rest = batch.subarray(0, 0);
  const wire = await open(redis_url, () => send());
  let sent_batches = 0;
  let over = false;
  const send = (): void => {
    // Each answer is a number on a line of its own, four bytes of it: what is not answered yet is bounded by that.
    while (!over && sent_batches * batch.length - (wire.received / 4 / commands.length) * batch.length < AHEAD_BYTES) {
      if (rest.length === 0) {
        rest = batch;
        sent_batches += 1;
      }
      const taken = wire.socket.write(rest);
      rest = rest.subarray(Math.max(0, taken));
      if (rest.length > 0) return;
    }
  };
  const processor = async (): Promise<number> => {
    const used = await info(redis_url, 'cpu');
    return (used.get('used_cpu_sys_main_thread') ?? 0) + (used.get('used_cpu_user_main_thread') ?? 0);
  };
  const published = await watch(redis_url);
  const [begun, processor_before] = [performance.now(), await processor()];
  const pump = setInterval(send, 1);
  await Bun.sleep(seconds * 1_000);
  over = true;
  clearInterval(pump);
  const [wall_s, processor_s] = [(performance.now() - begun) / 1_000, (await processor()) - processor_before];
  const { messages } = await published();
  for (const { socket } of [...listening, wire]) socket.end();
  return { messages, wall_s, processor_s };
}
