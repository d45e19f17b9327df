import { describe, expect, test } from 'bun:test';
import { ManualClock } from '../base/clock.ts';
import { createLog } from '../base/log.ts';
import { seededRandom } from '../base/random.ts';
import { addressOf, exchangeOf, openExchange, rememberPeer, UNKNOWN_IP } from './request.ts';

function requestFrom(peer: string | null, headers: Record<string, string> = {}): Request {
  const request = new Request('http://concord.test/', { headers });
  if (peer !== null) rememberPeer(request, peer);
  return request;
}

describe('the address of a caller', () => {
  test('is what the socket saw, and an IPv4 one is written as such', () => {
    expect(addressOf(requestFrom('192.0.2.1'), false)).toBe('192.0.2.1');
    expect(addressOf(requestFrom('::ffff:192.0.2.1'), false)).toBe('192.0.2.1');
    expect(addressOf(requestFrom('2001:db8::1'), false)).toBe('2001:db8::1');
    expect(addressOf(requestFrom(null), false)).toBe(UNKNOWN_IP);
  });

  test('is not what the caller writes, unless a proxy of ours stands in front', () => {
    const headers = { 'x-forwarded-for': '198.51.100.7' };
    expect(addressOf(requestFrom('192.0.2.1', headers), false)).toBe('192.0.2.1');
    expect(addressOf(requestFrom('192.0.2.1', headers), true)).toBe('198.51.100.7');
  });

  test('behind our proxy is the last entry, which alone is the proxy’s own', () => {
    const claimed = (list: string) => addressOf(requestFrom('192.0.2.1', { 'x-forwarded-for': list }), true);
    expect(claimed('10.0.0.1, 127.0.0.1, 198.51.100.7')).toBe('198.51.100.7');
    expect(claimed('10.0.0.1,  2001:db8::7 ')).toBe('2001:db8::7');
    for (const nonsense of ['', 'unknown', '10.0.0.1, nonsense', '10.0.0.1,', '198.51.100.7:4711'])
      expect(claimed(nonsense)).toBe('192.0.2.1');
  });
});

describe('an exchange', () => {
  const lines: Record<string, unknown>[] = [];
  const log = createLog({
    level: 'info',
    service: 'test',
    node_id: 'test',
    destination: { write: (line: string) => void lines.push(JSON.parse(line)) },
  });
  const parts = { clock: new ManualClock(), random: seededRandom(7), log, trust_proxy: false };

  test('writes its id into every line, and its user once that is known', () => {
    const request = requestFrom('192.0.2.1', { 'x-request-id': 'r-1' });
    const exchange = openExchange(request, parts);
    const context = exchangeOf(request);
    context.log.info('before');
    exchange.user_id = 'u-1';
    context.log.info('after');
    expect(lines[0]).toMatchObject({ request_id: 'r-1', message: 'before' });
    expect(lines[0]).not.toHaveProperty('user_id');
    expect(lines[1]).toMatchObject({ request_id: 'r-1', user_id: 'u-1', message: 'after' });
  });

  test('keeps a user agent of bounded length', () => {
    const agent = (value: string) => openExchange(requestFrom(null, { 'user-agent': value }), parts).user_agent;
    expect(agent('x'.repeat(512))).toHaveLength(512);
    expect(agent('x'.repeat(513))).toHaveLength(512);
    expect(openExchange(requestFrom(null), parts).user_agent).toBeNull();
  });

  test('belongs to one request', () => {
    expect(() => exchangeOf(requestFrom(null))).toThrow('did not come in through createHttpApp');
  });
});
