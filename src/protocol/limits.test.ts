import { expect, test } from 'bun:test';
import { LIMITS, TIMES } from './limits.ts';

test('every bound names its unit and is a positive whole number', () => {
  for (const [name, bound] of Object.entries(LIMITS)) {
    expect(name).toMatch(/_(min|max|default)$/);
    expect([name, Number.isSafeInteger(bound) && bound > 0]).toEqual([name, true]);
  }
  for (const [name, time] of Object.entries(TIMES)) {
    expect(name).toMatch(/_ms$/);
    expect([name, Number.isSafeInteger(time) && time > 0]).toEqual([name, true]);
  }
});

test('the bounds that the contract names are these', () => {
  const KIB = 1024;
  const MIB = KIB * KIB;
  expect(LIMITS).toMatchObject({
    body_bytes_max: MIB,
    create_body_bytes_max: 16 * MIB,
    json_frame_bytes_max: MIB,
    yjs_frame_bytes_max: 8 * MIB,
    presence_state_bytes_max: 4 * KIB,
    title_chars_max: 255,
    page_items_max: 100,
    page_items_default: 20,
  });
  expect(TIMES.unsaved_after_ms).toBe(2_000);
  expect(TIMES.rest_durable_wait_ms).toBe(5_000);
  expect(TIMES.node_beat_ms).toBe(2_000);
  expect(TIMES.node_life_ms).toBe(8_000);
});

test('stock providers, which give up after 30 s of silence, are spoken to in time even when one beat is late', () => {
  expect(TIMES.keep_alive_ms).toBeLessThan(30_000);
  expect(2 * TIMES.awareness_renew_ms).toBeLessThanOrEqual(30_000);
});

test('one frame of a door fits into every bound that stands behind it', () => {
  expect(LIMITS.json_frame_bytes_max).toBeLessThanOrEqual(LIMITS.queued_bytes_before_open_max);
  expect(LIMITS.yjs_frame_bytes_max).toBeLessThan(LIMITS.socket_backlog_bytes_max);
  expect(LIMITS.yjs_frame_bytes_max).toBeLessThan(LIMITS.backlog_bytes_max);
  expect(LIMITS.backlog_bytes_max).toBeLessThan(LIMITS.node_backlog_bytes_max);
  expect(LIMITS.mailbox_soft_max).toBeLessThan(LIMITS.mailbox_hard_max);
});
