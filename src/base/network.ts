/**
 * What of an address stands for one caller. A home or an office has one IPv4 address, but of IPv6 it has a whole /64, and
 * whoever is there may call from any of its 2^64 addresses: limits that counted those one by one would limit nobody.
 */
import { isIP } from 'node:net';

const GROUPS = 8;
/** 64 bits are four groups of sixteen. */
const NETWORK_GROUPS = 4;

/**
 * The address itself for IPv4, the /64 for IPv6 (`2001:db8:0:1::/64`), the IPv4 address inside an IPv4-mapped one; any other
 * text as it is.
 */
export function networkOf(ip: string): string {
  if (isIP(ip) !== 6) return ip;
  const [address = ''] = ip.split('%', 1);
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const [head = '', tail] = address.split('::');
  const before = groupsOf(head);
  const after = tail === undefined ? [] : groupsOf(tail);
  const zeros = Array.from({ length: Math.max(0, GROUPS - before.length - after.length) }, () => '0');
  const network = [...before, ...zeros, ...after].slice(0, NETWORK_GROUPS);
  return `${network.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`;
}

/** The sixteen-bit groups of one side of `::`; an IPv4 address at the end fills two. */
function groupsOf(side: string): string[] {
  return side.split(':').flatMap((group) => (group === '' ? [] : group.includes('.') ? ['0', '0'] : [group]));
}
