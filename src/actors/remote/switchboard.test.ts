import { expect, test } from 'bun:test';
import { quietLog } from '../../../test/support/core.ts';
import { ManualClock } from '../../base/clock.ts';
import { seededRandom } from '../../base/random.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { itemsBytes, type Packet, packetBytes, readPacket } from '../../protocol/node-wire.ts';
import type { Bus, BusListener } from '../../store/bus.ts';
import { nodeChannel } from '../../store/directory.ts';
import type { DeskParts } from './desk.ts';
import { Switchboard } from './switchboard.ts';

const random = seededRandom(418);
const [owner, gateway] = [
  { node_id: 'owner', boot_id: random.id() },
  { node_id: 'gateway', boot_id: random.id() },
];

/** The owner's switchboard, what its desk was asked, and what it sent. */
function openSwitchboard() {
  const called: string[] = [];
  const sent: Packet[] = [];
  let listener: BusListener | null = null;
  const bus = {
    listen: (heard: BusListener) => {
      listener = heard;
    },
    publish: (_channel: string, bytes: Uint8Array) => Promise.resolve(sent.push(readPacket(bytes)) > 0),
  };
  const call = (name: string) => Promise.resolve(called.push(name));
  new Switchboard({
    node: owner,
    bus: bus as unknown as Bus,
    clock: new ManualClock(),
    random,
    log: quietLog,
    desk: { call, commanded() {}, log: quietLog } as unknown as DeskParts,
    observer: { links() {}, resent() {}, broken() {}, lag() {} },
    lives: () => Promise.resolve(true),
  });
  const hear = (link: string, packet: Pick<Packet, 'ack' | 'data'>): void =>
    listener?.message(nodeChannel(owner), packetBytes({ link, from: gateway, end: 'gateway', ...packet }));
  const bytes = itemsBytes([{ t: 'call', call: 1, name: 'rev', args: [] }]);
  return {
    called,
    sent,
    /** The gateway's first packet on this link arrives. */
    begin: (link: string) => hear(link, { ack: 0, data: { seq: 1, more: false, bytes } }),
    letGo: (link: string) => hear(link, { ack: null, data: null }),
  };
}

test('a link that was let go does not begin again when its first packet comes once more: it is answered with a reset', () => {
  const { called, sent, begin, letGo } = openSwitchboard();
  begin('link');
  letGo('link');
  begin('link');
  expect(called).toEqual(['rev']);
  expect(sent.at(-1)).toMatchObject({ link: 'link', end: 'owner', ack: null, data: null });
});

test(`links_let_go_kept_max (${LIMITS.links_let_go_kept_max}) links that were let go are remembered; with one more the oldest is not`, () => {
  const { called, begin, letGo } = openSwitchboard();
  for (let n = 0; n < LIMITS.links_let_go_kept_max; n++) {
    begin(`link ${n}`);
    letGo(`link ${n}`);
  }
  begin('link 0');
  expect(called).toHaveLength(LIMITS.links_let_go_kept_max);
  begin('one more');
  letGo('one more');
  begin('link 1');
  expect(called).toHaveLength(LIMITS.links_let_go_kept_max + 1);
  begin('link 0');
  expect(called).toHaveLength(LIMITS.links_let_go_kept_max + 2);
});
