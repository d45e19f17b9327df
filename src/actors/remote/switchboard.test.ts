import { expect, test } from 'bun:test';
import { quietLog } from '../../../test/support/core.ts';
import { ManualClock } from '../../base/clock.ts';
import { seededRandom } from '../../base/random.ts';
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

test('a link that was let go does not begin again when its first packet comes once more: it is answered with a reset', () => {
  const called: string[] = [];
  const sent: Packet[] = [];
  let listener: BusListener | null = null;
  const bus = {
    listen: (heard: BusListener) => {
      listener = heard;
    },
    publish: (_channel: string, bytes: Uint8Array) => Promise.resolve(sent.push(readPacket(bytes)) > 0),
  };
  const clock = new ManualClock();
  const call = (name: string) => Promise.resolve(called.push(name));
  new Switchboard({
    node: owner,
    bus: bus as unknown as Bus,
    clock,
    random,
    log: quietLog,
    desk: { call, commanded() {}, log: quietLog } as unknown as DeskParts,
    observer: { links() {}, resent() {}, broken() {}, lag() {} },
    lives: () => Promise.resolve(true),
  });
  const hear = (packet: Pick<Packet, 'ack' | 'data'>): void =>
    listener?.message(nodeChannel(owner), packetBytes({ link: 'link', from: gateway, end: 'gateway', ...packet }));
  const bytes = itemsBytes([{ t: 'call', call: 1, name: 'rev', args: [] }]);
  const first = { ack: 0, data: { seq: 1, more: false, bytes } };
  hear(first);
  hear({ ack: null, data: null });
  hear(first);
  expect(called).toEqual(['rev']);
  expect(sent.at(-1)).toMatchObject({ link: 'link', end: 'owner', ack: null, data: null });
});
