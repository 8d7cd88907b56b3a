/** Packets in words, and a host to ask about them. */

import type { HostFacts, Packet } from '../../policies/model.ts';
import { type Address, contains, familyOf, parseAddress, parsePrefix, rangeOf } from '../../render/address.ts';

export function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`not an address: ${text}`);
  return parsed;
}

export function inside(prefix: string, peer: Address): boolean {
  const parsed = parsePrefix(prefix);
  if (parsed === undefined) throw new Error(`not a prefix: ${prefix}`);
  return contains(rangeOf(parsed), peer);
}

const numbers: Readonly<Record<string, number>> = { tcp: 6, udp: 17, sctp: 132, icmp4: 1, icmp6: 58 };

/** `tcp/80`, `icmp4/8` or `proto/47` from the container to the address. */
export function packet(words: string, to: string): Packet {
  const [name = '', number = ''] = words.split('/');
  const destination = address(to);
  const family = familyOf(destination);
  const base = { family, source: address(family === 4 ? '198.51.100.10' : '2001:db8:c::10'), destination };
  if (name === 'proto') return { ...base, protocol: Number(number) };
  const protocol = numbers[name] ?? 0;
  return name.startsWith('icmp')
    ? { ...base, protocol, icmpType: Number(number) }
    : { ...base, protocol, port: Number(number) };
}

/**
 * 192.0.2.1 and 2001:db8::1 on 192.0.2.0/24 and 2001:db8::/64; its containers have
 * 198.51.100.0/24 and 2001:db8:c::/48; deb.example is 203.0.113.205 and 2001:db8:a::1.
 */
export const testHost: HostFacts = {
  isHostAddress: (peer) => peer === '192.0.2.1' || peer === '2001:db8::1',
  isLan: (peer) => inside('192.0.2.0/24', peer) || inside('2001:db8::/64', peer),
  isDnsAddress: (name, peer) => name === 'deb.example' && (peer === '203.0.113.205' || peer === '2001:db8:a::1'),
  isContainer: (peer) => inside('198.51.100.0/24', peer) || inside('2001:db8:c::/48', peer),
};
