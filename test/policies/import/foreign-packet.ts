/** A packet as other firewalls see it, and what an imported policy says about it. */
import { policyOfNic } from '../../../policies/compile-policy.ts';
import { evaluateChain, type Packet } from '../../../policies/model.ts';
import { type Family, familyOf } from '../../../render/address.ts';
import { compileFiles } from '../compile-texts.ts';
import { address, testHost } from '../packets.ts';

export interface ForeignPacket {
  readonly direction: 'egress' | 'ingress';
  readonly nic: number;
  readonly peer: string;
  readonly own: string;
  readonly protocol: number;
  readonly port: number;
  readonly sourcePort: number;
  readonly icmpType: number;
  readonly icmpCode: number;
}

export type Verdict = 'allow' | 'drop' | 'reject';

export const familyIn = ({ peer }: ForeignPacket): Family => familyOf(address(peer));

const PROTOCOLS: Readonly<Record<string, number>> = { tcp: 6, udp: 17, sctp: 132 };

/** `in 192.0.2.7 tcp/22`, `out 2001:db8::7 icmp/128 net1 sport=53`. */
export function packetOf(words: string): ForeignPacket {
  const [way, peer = '', service = '', ...more] = words.split(/\s+/);
  const [name = '', number = '0'] = service.split('/');
  const isSix = peer.includes(':');
  const protocol = name === 'icmp' ? (isSix ? 58 : 1) : (PROTOCOLS[name] ?? Number(number));
  const option = (key: string): string | undefined => more.find((word) => word.startsWith(key))?.slice(key.length);
  return {
    direction: way === 'in' ? 'ingress' : 'egress',
    nic: Number(option('net') ?? 0),
    peer,
    own: option('own=') ?? (isSix ? '2001:db8:c::10' : '198.51.100.10'),
    protocol,
    port: Number(number),
    sourcePort: Number(option('sport=') ?? 40000),
    icmpType: Number(number),
    icmpCode: Number(option('code=') ?? 0),
  };
}

/** By the product's own compiler and model. @throws Error for a policy with errors. */
export function importedVerdicts(files: Readonly<Record<string, string>>): (packet: ForeignPacket) => Verdict {
  const policy = compileFiles({ ...files });
  const errors = policy.problems.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) throw new Error(JSON.stringify(errors));
  return (packet) => {
    const { egress, ingress } = policyOfNic(policy, { name: `eth${packet.nic}`, index: packet.nic });
    return evaluateChain(packet.direction === 'egress' ? egress : ingress, toPacket(packet), testHost).verdict;
  };
}

function toPacket(packet: ForeignPacket): Packet {
  const { protocol, port, icmpType, direction } = packet;
  const [peer, own] = [address(packet.peer), address(packet.own)];
  const ends = direction === 'egress' ? { source: own, destination: peer } : { source: peer, destination: own };
  const base = { family: familyIn(packet), ...ends, protocol };
  if ([6, 17, 132].includes(protocol)) return { ...base, port };
  return [1, 58].includes(protocol) ? { ...base, icmpType } : base;
}
