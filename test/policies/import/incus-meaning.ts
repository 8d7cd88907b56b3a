/** What Incus does with a packet of a NIC that has one network ACL, from its manual. */
import { parse } from 'yaml';
import { parseRange } from '../../../render/address.ts';
import { type ForeignPacket, familyIn, type Verdict } from './foreign-packet.ts';

type Rule = Readonly<Record<string, string | number | undefined>>;

/** Subjects that stand for something only in Incus match nobody; `undefined` where that may decide. */
export function judgeByIncus(text: string, packet: ForeignPacket): Verdict {
  const acl: Readonly<Record<string, readonly Rule[] | undefined>> = parse(text);
  const matching = (acl[packet.direction] ?? []).filter((rule) => matches(rule, packet));
  for (const action of ['drop', 'reject', 'allow'] as const) {
    if (matching.some((rule) => String(rule['action']).replace('-stateless', '') === action)) return action;
  }
  return 'reject';
}

const text = (value: string | number | undefined): string => (value === undefined ? '' : String(value));

function matches(rule: Rule, packet: ForeignPacket): boolean {
  if (rule['state'] === 'disabled') return false;
  const [source, destination] = packet.direction === 'egress' ? [packet.own, packet.peer] : [packet.peer, packet.own];
  if (!holdsAddress(text(rule['source']), source) || !holdsAddress(text(rule['destination']), destination))
    return false;
  const protocol = text(rule['protocol']);
  if (protocol === '') return true;
  const number = { tcp: 6, udp: 17, icmp4: 1, icmp6: 58 }[protocol];
  if (number !== packet.protocol || (protocol === 'icmp4') !== (number === 1)) return false;
  if (number === 1 || number === 58) {
    if ((number === 1) !== (familyIn(packet) === 4)) return false;
    return [
      [text(rule['icmp_type']), packet.icmpType],
      [text(rule['icmp_code']), packet.icmpCode],
    ].every(([wanted, is]) => wanted === '' || Number(wanted) === is);
  }
  return (
    holdsPort(text(rule['destination_port']), packet.port) && holdsPort(text(rule['source_port']), packet.sourcePort)
  );
}

const holdsPort = (list: string, port: number): boolean =>
  list === '' ||
  list.split(',').some((part) => {
    const [first = 0, last = first] = part.split('-').map(Number);
    return port >= first && port <= last;
  });

const holdsAddress = (list: string, peer: string): boolean =>
  list === '' ||
  list.split(',').some((part) => {
    const range = parseRange(part.trim());
    const single = parseRange(peer);
    if (range === undefined || single === undefined || range.family !== single.family) return false;
    return single.first >= range.first && single.first <= range.last;
  });
