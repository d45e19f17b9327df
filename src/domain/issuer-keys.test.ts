import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import type { FlattenedJWSInput, JWTHeaderParameters } from 'jose';
import { TestIssuer } from '../../test/support/issuer.ts';
import { until } from '../../test/support/until.ts';
import { ManualClock } from '../base/clock.ts';
import { createLog } from '../base/log.ts';
import { IssuerKeys, KEYS_GOOD_MS, KEYS_REST_MS, NO_KEYS_REST_MS } from './issuer-keys.ts';

const log = createLog({ level: 'silent', service: 'test', node_id: 'test' });

let issuer: TestIssuer;
let clock: ManualClock;
let keys: IssuerKeys;

beforeEach(() => {
  issuer = new TestIssuer();
  clock = new ManualClock();
  keys = new IssuerKeys({ clock, log, url: issuer.jwks_url });
});
afterEach(() => issuer.stop());

/** `found`, or the code of what was thrown. */
function find(kid: string, alg = 'ES256'): Promise<string> {
  const header = { alg, kid } as JWTHeaderParameters;
  return keys.find(header, { payload: '', signature: '' } as FlattenedJWSInput).then(
    () => 'found',
    (error: { code: string }) => error.code,
  );
}

const UNKNOWN = 'ERR_JWKS_NO_MATCHING_KEY';

describe('the keys of an identity provider', () => {
  test('are asked for once, by the first token, however many come at that moment', async () => {
    const { kid } = await issuer.makeKey();
    expect(issuer.asked).toBe(0);
    expect(await Promise.all([find(kid), find(kid), find(kid)])).toEqual(['found', 'found', 'found']);
    expect(issuer.asked).toBe(1);
  });

  test('are asked for at once when a token names one that is not known, and then not for KEYS_REST_MS', async () => {
    const { kid } = await issuer.makeKey();
    await find(kid);
    clock.advance(KEYS_REST_MS);
    const fresh = await issuer.makeKey('EdDSA');
    expect(await find(fresh.kid, 'EdDSA')).toBe('found');
    expect(issuer.asked).toBe(2);
    const late = await issuer.makeKey();
    for (let times = 0; times < 5; times++) expect(await find(times % 2 ? late.kid : 'made up')).toBe(UNKNOWN);
    expect(issuer.asked).toBe(2);
    clock.advance(KEYS_REST_MS - 1);
    expect(await find(late.kid)).toBe(UNKNOWN);
    clock.advance(1);
    expect(await Promise.all([find('made up'), find(late.kid), find(kid)])).toEqual([UNKNOWN, 'found', 'found']);
    expect(issuer.asked).toBe(3);
  });

  test('are asked for again after KEYS_GOOD_MS, nobody waiting for it, and those that are gone then are not good', async () => {
    const [old, stays] = [await issuer.makeKey(), await issuer.makeKey()];
    await find(old.kid);
    issuer.told = [stays.jwk];
    clock.advance(KEYS_GOOD_MS - 1);
    keys.freshen();
    expect(issuer.asked).toBe(1);
    clock.advance(1);
    const before = keys.revision;
    keys.freshen();
    expect(await find(old.kid)).toBe('found');
    await until('the answer', () => keys.revision === before + 1);
    expect(await find(old.kid)).toBe(UNKNOWN);
    expect(await find(stays.kid)).toBe('found');
    expect(issuer.asked).toBe(2);
  });

  test('of before stay good while the provider is away, answers nonsense, or too much', async () => {
    const { kid } = await issuer.makeKey();
    await find(kid);
    const revision = keys.revision;
    const answers: (() => Response)[] = [
      () => new Response('no', { status: 500 }),
      () => Response.redirect(issuer.jwks_url),
      () => new Response('<html>'),
      () => Response.json({ keys: 'none' }),
      () => Response.json({ keys: [] }),
      () => Response.json({ keys: [{ kty: 'oct', k: 'c2VjcmV0', kid }] }),
      () => new Response(`{"keys":[${' '.repeat(256 * 1024)}]}`),
    ];
    for (const [n, answer] of answers.entries()) {
      issuer.instead = answer;
      clock.advance(KEYS_GOOD_MS);
      expect(await find('made up')).toBe(UNKNOWN);
      expect([n, issuer.asked]).toEqual([n, n + 2]);
      expect(await find(kid)).toBe('found');
    }
    await issuer.stop();
    clock.advance(KEYS_GOOD_MS);
    expect(await find('made up')).toBe(UNKNOWN);
    expect(await find(kid)).toBe('found');
    expect(keys.revision).toBe(revision);
  });

  test('that were never got leave nobody in: it is UNAVAILABLE, and asked again after NO_KEYS_REST_MS', async () => {
    issuer.instead = () => new Response('starting', { status: 503 });
    const { kid } = await issuer.makeKey();
    expect(await find(kid)).toBe('UNAVAILABLE');
    issuer.instead = null;
    expect(await find(kid)).toBe('UNAVAILABLE');
    expect(issuer.asked).toBe(1);
    clock.advance(NO_KEYS_REST_MS);
    expect(await find(kid)).toBe('found');
  });

  test('that do not come within five seconds are given up', async () => {
    const { promise: asked, resolve } = Promise.withResolvers<void>();
    issuer.instead = () => {
      resolve();
      return new Promise(() => {});
    };
    const waiting = find('any');
    await asked;
    clock.advance(5_000);
    expect(await waiting).toBe('UNAVAILABLE');
  });
});
