/** Whether other programs' chains would drop what `explain` says that routewall lets pass; pure. */
import { familyOf, parseAddress } from '../../render/address.ts';
import { destinationSide, type FlowHost, type Side, sourceSide } from '../flow-sides.ts';
import { lasting } from './examine-flows.ts';
import type { ForeignPacket } from './foreign-match.ts';
import { type ForeignChain, nameChain } from './foreign-ruleset.ts';
import { judgePacket, type Way } from './judge-packet.ts';
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

export function judgeFlow(chains: readonly ForeignChain[], host: FlowHost, flow: AskedFlow): ForeignVerdict[] {
  const [source, destination] = [parseAddress(flow.source ?? ''), parseAddress(flow.destination ?? '')];
  if (source === undefined || destination === undefined) return [];
  const from = sourceSide(host, source);
  const to = destinationSide(host, destination, from);
  const way = wayOf(from, to);
  if (way === undefined) return [];
  const [iifname, oifname] = [interfaceOf(from, host), interfaceOf(to, host)];
  const packet: ForeignPacket = {
    ...{ family: familyOf(source), source, destination },
    ...serviceOf(flow.service, familyOf(source)),
    mayBeTranslated: to.kind === 'nic' && (to.nic.nat?.publications.length ?? 0) > 0,
    ...(iifname === undefined ? {} : { iifname }),
    ...(oifname === undefined ? {} : { oifname }),
  };
  const veth = [from, to].flatMap((side) => (side.kind === 'nic' ? side.nic.hostVeth : []))[0] ?? 'veth*';
  return judgePacket(chains, way, packet).map((drop) => ({
    chain: nameChain(drop.chain),
    sure: drop.sure,
    by: drop.by,
    mend: mendOf(drop, chains, lasting(veth)),
  }));
}

function wayOf(from: Side, to: Side): Way | undefined {
  if (from.kind === 'host') return to.kind === 'nic' ? 'output' : undefined;
  if (to.kind === 'host') return 'input';
  return to.kind === 'nic' || to.kind === 'outside' ? 'forward' : undefined;
}

/** `undefined` where it isn't known: another uplink may have the way there. */
function interfaceOf(side: Side, { network }: FlowHost): string | undefined {
  if (side.kind === 'nic') return side.nic.hostVeth;
  if (side.kind !== 'outside') return undefined;
  const [only, second] = network.uplinks;
  return side.link ?? (second === undefined ? only : undefined);
}

function serviceOf(service: string, family: 4 | 6): Pick<ForeignPacket, 'protocol' | 'port'> {
  const [, protocol, port] = /^(tcp|udp|sctp)(?:\/(\d+))?$/.exec(service) ?? [];
  if (protocol !== undefined) return { protocol, ...(port === undefined ? {} : { port: Number(port) }) };
  return service.startsWith('icmp') ? { protocol: family === 4 ? 'icmp' : 'ipv6-icmp' } : {};
}
