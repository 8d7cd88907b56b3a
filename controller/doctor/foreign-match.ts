/** Whether a packet matches an expression of somebody's rule: yes, no, or nobody can tell from here. */
import { addressNumber, contains, familyOf, parseAddress, parsePrefix, rangeOf } from '../../render/address.ts';
import type { JsonObject } from '../json-shape.ts';

/** What isn't given can be anything. The first packet of a flow. */
export interface ForeignPacket {
  readonly family: 4 | 6;
  readonly iifname?: string;
  readonly oifname?: string;
  readonly source?: string;
  readonly destination?: string;
  /** As nft names it: `tcp`, `udp`, `icmp`, … */
  readonly protocol?: string;
  readonly port?: number;
  /** It may have come to an address that is published for the container. */
  readonly mayBeTranslated?: boolean;
  /** What the host's routes make of its destination; unicast is everybody else's address. */
  readonly destinationType?: 'local' | 'unicast';
}

export type Match = 'yes' | 'no' | 'unknown';

const not = (match: Match): Match => (match === 'yes' ? 'no' : match === 'no' ? 'yes' : 'unknown');

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** `{ "op": "==", "left": …, "right": … }` */
export function evaluateMatch(match: unknown, packet: ForeignPacket): Match {
  if (!isObject(match)) return 'unknown';
  const { op, left, right } = match;
  const field = fieldOf(left, packet);
  if (field === 'never') return 'no';
  if (field === undefined || (op !== '==' && op !== '!=' && op !== 'in')) return 'unknown';
  const found = equals(field, right);
  return op === '!=' ? not(found) : found;
}

type Value = string | number;

/** The packet's value; all of several that it may be taken for; `never`: it has no such field. */
function fieldOf(left: unknown, packet: ForeignPacket): Value | readonly Value[] | 'never' | undefined {
  if (!isObject(left)) return undefined;
  const { meta, payload, ct, fib } = left;
  if (isObject(meta)) {
    switch (meta['key']) {
      case 'iifname':
      case 'iif':
        return packet.iifname;
      case 'oifname':
      case 'oif':
        return packet.oifname;
      case 'l4proto':
        return packet.protocol;
      case 'nfproto':
        return packet.family === 4 ? 'ipv4' : 'ipv6';
      default:
        return undefined;
    }
  }
  if (isObject(ct)) return trackedOf(ct, packet);
  if (isObject(fib)) return fibOf(fib, packet);
  return isObject(payload) ? payloadOf(payload, packet) : undefined;
}

/** A first packet is new, and has no other status unless somebody translated it. */
function trackedOf({ key }: JsonObject, { mayBeTranslated = false }: ForeignPacket): Value | undefined {
  if (key === 'state') return 'new';
  return key === 'status' && !mayBeTranslated ? 'none' : undefined;
}

/** What stands in for reverse path filters: the way back is by the interface that it came from. */
function fibOf({ result, flags }: JsonObject, { destinationType, iifname }: ForeignPacket): Value | undefined {
  if (!Array.isArray(flags)) return undefined;
  if (flags.includes('daddr') && result === 'type') return destinationType;
  return flags.includes('saddr') && flags.includes('iif') && result === 'oif' ? iifname : undefined;
}

const PORTED = ['tcp', 'udp', 'sctp', 'dccp', 'udplite'];

function payloadOf({ protocol, field }: JsonObject, packet: ForeignPacket): Value | 'never' | undefined {
  if (protocol === 'ip' || protocol === 'ip6') {
    if ((protocol === 'ip') !== (packet.family === 4)) return 'never';
    if (field === 'saddr') return packet.source;
    if (field === 'daddr') return packet.destination;
    return field === 'protocol' || field === 'nexthdr' ? packet.protocol : undefined;
  }
  if (typeof protocol !== 'string' || packet.protocol === undefined) return undefined;
  const own = protocol === 'icmpv6' ? 'ipv6-icmp' : protocol;
  if ([...PORTED, 'icmp', 'ipv6-icmp'].includes(own) && own !== packet.protocol) return 'never';
  const isPort = field === 'dport' && (protocol === 'th' || PORTED.includes(protocol));
  return isPort ? packet.port : undefined;
}

function equals(value: Value | readonly Value[], right: unknown): Match {
  if (Array.isArray(right)) return anyOf(right.map((one: unknown) => equals(value, one)));
  if (isObject(right)) {
    const { set, prefix, range } = right;
    if (Array.isArray(set)) return anyOf(set.map((one: unknown) => equals(value, one)));
    if (isObject(prefix)) return inPrefix(value, `${String(prefix['addr'])}/${String(prefix['len'])}`);
    if (Array.isArray(range)) return inRange(value, range);
    return isObject(right['elem']) ? equals(value, right['elem']['val']) : 'unknown';
  }
  // `missing`, and `exists`: what has a value is there.
  if (typeof right === 'boolean') return right ? 'yes' : 'no';
  if (typeof right === 'number') return value === right ? 'yes' : 'no';
  if (typeof right !== 'string') return 'unknown';
  // A set's name: what is in it isn't asked, it can be millions.
  if (right.startsWith('@')) return 'unknown';
  if (right.endsWith('*')) return String(value).startsWith(right.slice(0, -1)) ? 'yes' : 'no';
  return String(value) === right ? 'yes' : 'no';
}

function anyOf(matches: readonly Match[]): Match {
  if (matches.includes('yes')) return 'yes';
  return matches.includes('unknown') ? 'unknown' : 'no';
}

function inPrefix(value: unknown, text: string): Match {
  const [address, prefix] = [parseAddress(String(value)), parsePrefix(text)];
  if (address === undefined || prefix === undefined) return 'unknown';
  const isIn = familyOf(address) === familyOf(prefix) && contains(rangeOf(prefix), address);
  return isIn ? 'yes' : 'no';
}

function inRange(value: unknown, [first, last]: readonly unknown[]): Match {
  if (typeof value === 'number' && typeof first === 'number' && typeof last === 'number')
    return first <= value && value <= last ? 'yes' : 'no';
  const [address, from, to] = [value, first, last].map((text) => parseAddress(String(text)));
  if (address === undefined || from === undefined || to === undefined) return 'unknown';
  if (familyOf(address) !== familyOf(from)) return 'no';
  const number = addressNumber(address);
  return addressNumber(from) <= number && number <= addressNumber(to) ? 'yes' : 'no';
}
