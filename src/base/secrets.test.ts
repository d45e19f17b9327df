import { expect, test } from 'bun:test';
import { REDACTED, safeUrl, scrub } from './secrets.ts';

const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl';

test('an address is shown without the tokens in its query', () => {
  expect(safeUrl('/v1/yjs/1?token=abc')).toBe(`/v1/yjs/1?token=${REDACTED}`);
  expect(safeUrl('/v1/collab/1?client_id=x&Token=abc.def&rev=3#token=kept')).toBe(
    `/v1/collab/1?client_id=x&Token=${REDACTED}&rev=3#token=kept`,
  );
  expect(safeUrl('/a?access_token=1&refresh_token=2&broken=3')).toBe(
    `/a?access_token=${REDACTED}&refresh_token=${REDACTED}&broken=3`,
  );
  expect(safeUrl('/v1/documents?q=token')).toBe('/v1/documents?q=token');
  expect(safeUrl('GET /a?token=abc failed')).toBe(`GET /a?token=${REDACTED} failed`);
});

test('what looks like a secret is scrubbed, what does not is left', () => {
  expect(scrub(`Authorization: Bearer ${JWT}`)).not.toContain('eyJ');
  expect(scrub('authorization: Bearer abc.def')).not.toContain('abc.def');
  expect(scrub('{"refresh_token":"abc","x":1}')).toBe('{"refresh_token":[redacted],"x":1}');
  expect(scrub('password=hunter2&x=1')).toBe('password=[redacted]&x=1');
  expect(scrub('https://example.org/a?b=c#d')).toBe('https://example.org/a?[redacted]');
  expect(scrub('/v1/yjs/1?token=abc')).toBe('/v1/yjs/1?token=[redacted]');
  expect(scrub('document 0198c5c2 has no owner')).toBe('document 0198c5c2 has no owner');
  expect(scrub('postgres://concord:p@ss@db:5432/concord is away')).toBe(
    'postgres://[redacted]@db:5432/concord is away',
  );
  expect(scrub(`at verify (/app/src/domain/tokens.ts:12:3) of ${JWT}`)).toBe(
    'at verify (/app/src/domain/tokens.ts:12:3) of [redacted]',
  );
});

test('takes no longer than the text is long, whatever it is, and shows no more than 16 KiB of it', () => {
  for (const text of ['a', 'a.', 'a://', 'eyJ', 'password', 'eyJa.', '"token":"', 'Bearer ', '?token=']) {
    const scrubbed = scrub(text.repeat(1_000_000));
    expect(scrubbed.length).toBeLessThan(64 * 1024);
  }
  expect(scrub('b'.repeat(20_000))).toHaveLength(16 * 1024 + 1);
});
