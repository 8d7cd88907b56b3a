/** Whether other programs' chains would drop what `explain` says that routewall lets pass; pure. */
import { type Address, familyOf, parseAddress } from '../../render/address.ts';
import { destinationSide, type FlowHost, type Side, sourceSide } from '../explain/flow-sides.ts';
import { findPublished } from '../explain/translate-flow.ts';
import { ASKED_ABOUT_IPV6, dropsOfDiscovery, MEND_IPV6 } from './bridge-neighbours.ts';
import { lasting, outerInterface } from './examine-flows.ts';
import type { ForeignPacket } from './foreign-match.ts';
import { translatorsOf } from './foreign-nat.ts';
import { type ForeignChain, nameChain } from './foreign-ruleset.ts';
import { judgePackets, type Way } from './judge-packet.ts';
import { mendOf } from './mend-drop.ts';

/** Of an answer of `explain`; `service` as it prints it, such as `tcp/80`. */
export interface AskedFlow {
  readonly source: string | null;
  readonly destination: string | null;
  readonly service: string;
}

/** As `explain --json` prints it. */
export interface ForeignVerdict {
  /** Such as `chain FORWARD of table ip filter`. */
  readonly chain: string;
  /** `false`: only if something holds that can't be told from here. */
  readonly sure: boolean;
  readonly by: string;
  readonly mend: string;
}

/** What other programs do with a flow that we let pass. */
export interface ForeignJudgement {
  readonly drops: readonly ForeignVerdict[];
  /** Chains that may send it to another address first, such as `chain PREROUTING of table ip nat`. */
  readonly translators: readonly string[];
}

const NOTHING: ForeignJudgement = { drops: [], translators: [] };

/** What is asked of the kernel besides. */
export interface FlowFacts {
  readonly sysctl: (key: string) => string | undefined;
  /** As `readWaysTo` told, of those that `addressesBeyond` names. */
  readonly waysTo: ReadonlyMap<Address, ReadonlySet<string>>;
}

/** The flow's ends that are on no network of the host's own. */
export function addressesBeyond(host: FlowHost, flow: AskedFlow): Address[] {
  const { source, destination, from, to } = askedEnds(host, flow) ?? {};
  return [
    ...(source !== undefined && isBeyond(from) ? [source] : []),
    ...(destination !== undefined && isBeyond(to) ? [destination] : []),
  ];
}

const isBeyond = (side: Side | undefined): boolean => side?.kind === 'outside' && side.link === undefined;

export function judgeFlow(
  chains: readonly ForeignChain[],
  host: FlowHost,
  flow: AskedFlow,
  { sysctl, waysTo }: FlowFacts,
): ForeignJudgement {
  const asked = askedWay(host, flow, waysTo);
  if (asked === undefined) return NOTHING;
  const { from, to, way, packets, family } = asked;
  const own = [from, to].flatMap((side) => (side.kind === 'nic' ? outerInterface(side.nic) : []))[0] ?? 'veth*';
  const drops = judgePackets(chains, way, packets).map((drop) => ({
    chain: nameChain(drop.chain),
    sure: drop.sure,
    by: drop.by,
    mend: mendOf(drop, chains, lasting(own)),
  }));
  const isAsked = family === 6 && sysctl(ASKED_ABOUT_IPV6) === '1';
  return {
    drops: drops.length > 0 || !isAsked ? drops : undiscovered(chains, from, to),
    translators: translatorsOf(chains, way, packets).map(nameChain),
  };
}

interface AskedWay {
  readonly from: Side;
  readonly to: Side;
  readonly way: Way;
  readonly family: 4 | 6;
  /** One for each way that it may take. */
  readonly packets: readonly ForeignPacket[];
}

function askedEnds(host: FlowHost, flow: AskedFlow) {
  const [source, destination] = [parseAddress(flow.source ?? ''), parseAddress(flow.destination ?? '')];
  if (source === undefined || destination === undefined) return undefined;
  const family = familyOf(source);
  const service = serviceOf(flow.service, family);
  const from = sourceSide(host, source);
  const published = findPublished(host.desired, { ...service, source, destination, family });
  const to: Side = published === undefined ? destinationSide(host, destination, from) : { kind: 'nic', ...published };
  return { source, destination, family, service, from, to, published };
}

function askedWay(host: FlowHost, flow: AskedFlow, waysTo: FlowFacts['waysTo']): AskedWay | undefined {
  const ends = askedEnds(host, flow);
  if (ends === undefined) return undefined;
  const { source, destination, family, service, from, to, published } = ends;
  const way = wayOf(from, to);
  if (way === undefined) return undefined;
  const { name: protocol, port } = service;
  const packet: ForeignPacket = {
    ...{ family, source, destination: published?.publication.to ?? destination },
    ...(protocol === undefined ? {} : { protocol }),
    ...(port === undefined ? {} : { port: published?.port ?? port }),
    mayBeTranslated: to.kind === 'nic' && (to.nic.nat?.publications.length ?? 0) > 0,
    destinationType: way === 'input' ? 'local' : 'unicast',
  };
  const { uplinks } = host.network;
  const beyond = (address: Address): readonly string[] => {
    const ways = uplinks.filter((uplink) => waysTo.get(address)?.has(uplink));
    return ways.length > 0 ? ways : uplinks;
  };
  const packets = interfacesIn(from, beyond(source)).flatMap((incoming) =>
    interfacesOut({ from, to }, beyond(destination)).map((outgoing) => ({ ...packet, ...incoming, ...outgoing })),
  );
  return { from, to, way, family, packets };
}

/** Neighbours on a bridge that don't find each other. */
function undiscovered(chains: readonly ForeignChain[], from: Side, to: Side): ForeignVerdict[] {
  const [bridge, other] = [from, to].map((side) => (side.kind === 'nic' ? side.nic.port?.bridge : undefined));
  if (bridge === undefined || bridge !== other) return [];
  return dropsOfDiscovery(chains, bridge).map(({ chain, sure, by }) => ({
    ...{ chain: nameChain(chain), sure, by: `${by} (their neighbour discovery, which br_netfilter sends there)` },
    mend: MEND_IPV6,
  }));
}

function wayOf(from: Side, to: Side): Way | undefined {
  if (from.kind === 'host') return to.kind === 'nic' ? 'output' : undefined;
  if (to.kind === 'host') return 'input';
  return to.kind === 'nic' || to.kind === 'outside' ? 'forward' : undefined;
}

/** All that it may come in by; one without a name where there is none. */
function interfacesIn(side: Side, beyond: readonly string[]): Pick<ForeignPacket, 'iifname'>[] {
  if (side.kind === 'nic') return [{ iifname: outerInterface(side.nic) }];
  if (side.kind !== 'outside') return [{}];
  return (side.link === undefined ? beyond : [side.link]).map((iifname) => ({ iifname }));
}

/** All that it may leave by. */
function interfacesOut(
  { from, to }: { readonly from: Side; readonly to: Side },
  beyond: readonly string[],
): Pick<ForeignPacket, 'oifname'>[] {
  if (to.kind === 'nic') return [{ oifname: outerInterface(to.nic) }];
  if (to.kind !== 'outside') return [{}];
  if (to.link !== undefined) return [{ oifname: to.link }];
  const own = from.kind === 'nic' ? from.nic.uplink?.dev : undefined;
  return (own === undefined ? beyond : [own]).map((oifname) => ({ oifname }));
}

interface AskedService {
  /** As nft calls the protocol. */
  readonly name?: string;
  /** The IP protocol's number; 0 for what has no ports. */
  readonly protocol: number;
  readonly port?: number;
}

const PORTED: Readonly<Record<string, number>> = { tcp: 6, udp: 17, sctp: 132 };

function serviceOf(service: string, family: 4 | 6): AskedService {
  const [, name = '', port] = /^(tcp|udp|sctp)(?:\/(\d+))?$/.exec(service) ?? [];
  const protocol = PORTED[name];
  if (protocol !== undefined) return { name, protocol, ...(port === undefined ? {} : { port: Number(port) }) };
  return service.startsWith('icmp') ? { name: family === 4 ? 'icmp' : 'ipv6-icmp', protocol: 0 } : { protocol: 0 };
}
