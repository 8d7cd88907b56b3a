/** Other programs' chains, asked about what a container's policy allows. */
import { type Address, addressFrom, type Family, familyOf, isHostPrefix } from '../../render/address.ts';
import type { NicState } from '../../render/desired.ts';
import type { Direction, Origin, PolicyChain, Rule } from '../../render/rule.ts';
import { type FlowHost, sourceSide } from '../explain/flow-sides.ts';
import type { Finding } from './finding.ts';
import type { ForeignPacket } from './foreign-match.ts';
import { type ForeignChain, nameChain } from './foreign-ruleset.ts';
import { type ForeignDrop, judgePacket, type Way } from './judge-packet.ts';
import { mendOf } from './mend-drop.ts';

export interface Surroundings {
  readonly chains: readonly ForeignChain[];
  /** Interfaces by which the outside is reached. */
  readonly uplinks: readonly string[];
  readonly host: FlowHost;
}

interface Asked {
  readonly direction: Direction;
  readonly way: Way;
  readonly packet: ForeignPacket;
  /** In the words of a policy. */
  readonly service: string;
}

/** One finding for each chain and direction, with the first flow that it hits; sure ones before what only may be. */
export function examineFlows(nics: Iterable<NicState>, surroundings: Surroundings): Finding[] {
  const { chains } = surroundings;
  const found = new Map<string, { finding: Finding; sure: boolean }>();
  for (const nic of nics) {
    for (const asked of flowsOf(nic, surroundings)) {
      for (const drop of judgePacket(chains, asked.way, asked.packet)) {
        const { table, name, program } = drop.chain;
        const key = JSON.stringify([nic.container, asked.direction, table, name, program]);
        const known = found.get(key);
        if (known === undefined || (drop.sure && !known.sure))
          found.set(key, { finding: describe(nic, asked, drop, chains), sure: drop.sure });
      }
    }
  }
  return [...found.values()].map(({ finding }) => finding);
}

function describe(
  nic: NicState,
  { direction, service }: Asked,
  drop: ForeignDrop,
  chains: readonly ForeignChain[],
): Finding {
  const { container } = nic;
  const what = direction === 'ingress' ? `${service} to ${container}` : `${service} from ${container}`;
  const does = drop.sure ? 'drops' : 'may drop';
  return {
    severity: drop.sure ? 'error' : 'warning',
    container,
    message: `${nameChain(drop.chain)} ${does} ${what}, which its policy allows: by ${drop.by}`,
    mend: mendOf(drop, chains, lasting(outerInterface(nic))),
  };
}

/** By which interface other programs' rules know its packets: a bridge's port is none to them. */
export const outerInterface = ({ hostVeth, port }: NicState): string => port?.bridge ?? hostVeth;

/** LXC's own names are others with each start; whatever matches besides, our tables stand before it. */
export const lasting = (hostVeth: string): string => (/^veth[0-9A-Za-z]{6}$/.test(hostVeth) ? 'veth*' : hostVeth);

function flowsOf(nic: NicState, surroundings: Surroundings): Asked[] {
  const addresses = nic.owned.flatMap((prefix) => (isHostPrefix(prefix) ? [prefix] : []));
  return (['egress', 'ingress'] as const).flatMap((direction) =>
    allowed(nic[direction]).flatMap((rule) =>
      addresses.flatMap((own) => {
        const family = familyOf(own);
        const service = serviceOf(rule, family);
        if (service === undefined || (rule.family !== undefined && rule.family !== family)) return [];
        const end = own.replace(/\/\d+$/, '');
        return askedOf(rule, { direction, nic, end, family, surroundings, service });
      }),
    ),
  );
}

/** A default that allows is a rule about everything. */
function allowed({ rules, default: { verdict, origin } }: PolicyChain): Rule[] {
  const all = { peer: { kind: 'any' }, service: { kind: 'any' }, action: 'allow', log: false } as const;
  const rest = verdict === 'allow' ? [{ ...all, origin: origin ?? NOWHERE }] : [];
  return [...rules.filter(({ action }) => action === 'allow'), ...rest];
}

const NOWHERE: Origin = { file: '', line: 1 };

interface Ends {
  readonly direction: Direction;
  readonly nic: NicState;
  readonly end: string;
  readonly family: Family;
  readonly surroundings: Surroundings;
  readonly service: { readonly words: string; readonly packet: Pick<ForeignPacket, 'protocol' | 'port'> };
}

function askedOf(rule: Rule, { direction, nic, end, family, surroundings, service }: Ends): Asked[] {
  const peer = peerOf(rule, family);
  if (peer === 'other') return [];
  const base = { family, ...service.packet };
  const own = outerInterface(nic);
  const common = { direction, service: service.words };
  const at = peer.address;
  if (direction === 'ingress') {
    const mayBeTranslated = (nic.nat?.publications.length ?? 0) > 0;
    const packet = { ...base, ...(at && { source: at }), oifname: own, destination: end, mayBeTranslated };
    return [
      ...waysTo(peer, surroundings).map(
        (iifname): Asked => ({ ...common, way: 'forward', packet: { ...packet, iifname } }),
      ),
      ...(peer.isHost ? [{ ...common, way: 'output', packet } as const] : []),
    ];
  }
  const packet = { ...base, ...(at && { destination: at }), iifname: own, source: end };
  const out = waysTo(peer, surroundings, nic.uplink?.dev);
  return [
    ...out.map((oifname): Asked => ({ ...common, way: 'forward', packet: { ...packet, oifname } })),
    ...(peer.isHost ? [{ ...common, way: 'input', packet } as const] : []),
  ];
}

interface Peer {
  readonly address?: Address;
  readonly isHost: boolean;
  readonly isOutside: boolean;
}

/** `uplink`: the one that the container was given. */
function waysTo({ address, isOutside }: Peer, { uplinks, host }: Surroundings, uplink?: string): readonly string[] {
  if (!isOutside) return [];
  const side = address === undefined ? undefined : sourceSide(host, address);
  if (side?.kind === 'nic') return [outerInterface(side.nic)];
  if (side?.kind === 'outside' && side.link !== undefined) return [side.link];
  return uplink === undefined ? uplinks : [uplink];
}

/** Some address that the rule is about; `other`: one of the other family. */
function peerOf({ peer }: Rule, family: Family): Peer | 'other' {
  if (peer.kind !== 'ranges')
    return { isHost: peer.kind === 'host' || peer.kind === 'any', isOutside: peer.kind !== 'host' };
  const [first] = peer.ranges;
  if (peer.family !== family || first === undefined) return 'other';
  return { address: addressFrom(first.first, family), isHost: false, isOutside: true };
}

const PROTOCOLS: Readonly<Record<number, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'ipv6-icmp', 132: 'sctp' };

function serviceOf({ service }: Rule, family: Family): Ends['service'] | undefined {
  switch (service.kind) {
    case 'any':
      return { words: 'everything', packet: {} };
    case 'protocol': {
      const protocol = PROTOCOLS[service.protocol];
      return { words: protocol ?? `proto/${service.protocol}`, packet: protocol === undefined ? {} : { protocol } };
    }
    case 'ports': {
      const protocol = PROTOCOLS[service.protocol] ?? '';
      const port = service.ports[0]?.first ?? 0;
      return { words: `${protocol}/${port}`, packet: { protocol, port } };
    }
    case 'icmp':
      if (service.family !== family) return undefined;
      return { words: 'icmp', packet: { protocol: family === 4 ? 'icmp' : 'ipv6-icmp' } };
  }
}
