/**
 * What a policy says about a packet, read straight from its document word by word: nothing is merged, expanded or
 * shared with the compiler, so that both can be held against each other.
 */
import type { HostFacts, Packet } from '../../policies/model.ts';
import { type Address, addressNumber, familyOf } from '../../render/address.ts';
import { address, inside } from './packets.ts';

interface NaiveRule {
  readonly action: 'allow' | 'drop' | 'reject' | 'log';
  readonly services: readonly string[];
  readonly peers: readonly string[];
  readonly enabled: boolean;
  /** RFC 3339. */
  readonly until: string | undefined;
  readonly limit: string | undefined;
}

export interface NaivePolicy {
  readonly rules: readonly NaiveRule[];
  readonly default: 'allow' | 'drop' | 'reject';
}

export interface NaiveNames {
  /** Addresses by `container:x`, `group:x` and `set:x`. */
  readonly peers: Readonly<Record<string, readonly string[]>>;
  readonly services: Readonly<Record<string, readonly string[]>>;
}

/** `now` as Date.now() tells it; a limit that isn't reached changes no verdict. */
export function naiveVerdict(
  policy: NaivePolicy,
  packet: Packet,
  facts: HostFacts,
  { now, ...names }: NaiveNames & { readonly now: number },
): string {
  const rule = policy.rules.find(
    ({ action, services, peers, enabled, until }) =>
      enabled &&
      (until === undefined || Date.parse(until) > now) &&
      action !== 'log' &&
      services.some((word) => isService(word, packet, names)) &&
      peers.some((word) => isPeer(word, packet.destination, facts, names)),
  );
  return rule?.action ?? policy.default;
}

function isPeer(word: string, peer: Address, facts: HostFacts, names: NaiveNames): boolean {
  const listed = names.peers[word];
  if (listed !== undefined) return listed.some((entry) => isPeer(entry, peer, facts, names));
  if (word === 'any') return true;
  if (word === 'host') return facts.isHostAddress(peer);
  if (word === 'lan') return facts.isLan(peer);
  if (word === 'dns:deb.example') return peer === '203.0.113.205' || peer === '2001:db8:a::1';
  if (word === 'internet') {
    const local = facts.isHostAddress(peer) || facts.isLan(peer) || facts.isContainer(peer);
    return !local && !/^(10\.|192\.168\.|127\.|f[cdef])/.test(peer);
  }
  if (!word.includes('-')) return inside(word, peer);
  const [first = '', last = ''] = word.split('-');
  if (familyOf(address(first)) !== familyOf(peer)) return false;
  const number = addressNumber(peer);
  return addressNumber(address(first)) <= number && number <= addressNumber(address(last));
}

const protocols: Readonly<Record<string, number>> = { tcp: 6, udp: 17, sctp: 132 };
const echo: Readonly<Record<string, readonly [four: number, six: number]>> = {
  'echo-request': [8, 128],
  'echo-reply': [0, 129],
};

function isService(word: string, packet: Packet, names: NaiveNames): boolean {
  const listed = names.services[word];
  if (listed !== undefined) return listed.some((entry) => isService(entry, packet, names));
  if (word === 'any') return true;
  const [kind = '', rest] = word.split('/');
  if (kind === 'proto') return packet.protocol === Number(rest);
  if (kind.startsWith('icmp')) return isIcmp(kind, rest, packet);
  return packet.protocol === protocols[kind] && (rest ?? '').split(',').some((part) => isPort(part, packet.port ?? 0));
}

function isPort(part: string, port: number): boolean {
  const [first, last = first] = part.split('-');
  return Number(first) <= port && port <= Number(last);
}

function isIcmp(kind: string, type: string | undefined, { family, protocol, icmpType = -1 }: Packet): boolean {
  if (protocol !== (family === 4 ? 1 : 58)) return false;
  if (kind === 'icmp4' && family !== 4) return false;
  if (kind === 'icmp6' && family !== 6) return false;
  const refused = family === 4 ? [3, 4, 5, 9, 11, 12] : [1, 2, 3, 4, 134, 137];
  if (type === undefined) return !refused.includes(icmpType);
  return icmpType === (echo[type]?.[family === 4 ? 0 : 1] ?? Number(type));
}
