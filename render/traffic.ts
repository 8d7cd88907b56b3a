/** Bandwidth limits and wires as what tc holds on each interface of the host, and the lines that bring it there. */
import { changedNicKeys } from './changed-nics.ts';
import type { Bandwidth, DesiredState } from './desired.ts';
import { type InterfaceName, limiterName } from './names.ts';
import { PROTOCOL } from './protocol.ts';

/** Marks what is ours: the root qdisc's handle (`119:`), and the filter's preference. */
export const MARK = String(PROTOCOL);

/** What of an interface's tc is ours or shall be. */
export interface TrafficDevice {
  /** What goes out there, in bits a second. */
  readonly rate?: number;
  /** Where everything that comes in goes out instead. */
  readonly redirect?: InterfaceName;
}

/**
 * What goes into a container goes out at its host-side veth, where tbf holds it back. What comes from it comes in there,
 * where nothing can wait: so it takes a detour over an ifb of its own, goes out there, and comes in again.
 */
export interface Traffic {
  readonly devices: ReadonlyMap<InterfaceName, TrafficDevice>;
  /** The ifbs. */
  readonly limiters: ReadonlySet<InterfaceName>;
}

export const NO_TRAFFIC: Traffic = { devices: new Map(), limiters: new Set() };

export function trafficOf({ nics, wires = [] }: Pick<DesiredState, 'nics' | 'wires'>): Traffic {
  const devices = new Map<InterfaceName, TrafficDevice>();
  const limiters = new Set<InterfaceName>();
  for (const { hostVeth, limits } of nics.values()) if (limits) limit(hostVeth, limits, devices, limiters);
  for (const { a, b } of wires) {
    devices.set(a, { redirect: b });
    devices.set(b, { redirect: a });
  }
  return devices.size === 0 ? NO_TRAFFIC : { devices, limiters };
}

function limit(
  veth: InterfaceName,
  { egress, ingress }: Bandwidth,
  devices: Map<InterfaceName, TrafficDevice>,
  limiters: Set<InterfaceName>,
): void {
  const limiter = limiterName(veth);
  devices.set(veth, { ...(ingress && { rate: ingress.rate }), ...(egress && { redirect: limiter }) });
  if (egress === undefined) return;
  limiters.add(limiter);
  devices.set(limiter, { rate: egress.rate });
}

/** Interfaces whose tc may differ between two states. */
export function changedDevices(before: DesiredState, after: DesiredState): Set<InterfaceName> {
  const keys = before.nics === after.nics ? [] : changedNicKeys(before, after);
  const nics = keys.flatMap((key) => [before.nics.get(key) ?? [], after.nics.get(key) ?? []].flat());
  const wires = before.wires === after.wires ? [] : [...(before.wires ?? []), ...(after.wires ?? [])];
  return new Set([
    ...nics.flatMap(({ hostVeth, limits }) => (limits === undefined ? [] : [hostVeth, limiterName(hostVeth)])),
    ...wires.flatMap(({ a, b }) => [a, b]),
  ]);
}

/** As the kernel holds it. */
export interface ObservedDevice {
  /** `foreign`: another program's; what the kernel itself put there is `none`. */
  readonly root:
    | { readonly kind: 'none' }
    | { readonly kind: 'ours'; readonly rate: number; readonly isWhole: boolean }
    | { readonly kind: 'foreign'; readonly text: string };
  readonly ingress: {
    readonly qdisc: 'none' | 'ingress' | 'clsact';
    /** Where our filters lead to; `*` where that is gone. */
    readonly ours: readonly string[];
    readonly foreign: number;
  };
}

export interface ObservedTraffic {
  /** An interface that is missing here doesn't exist. */
  readonly devices: ReadonlyMap<InterfaceName, ObservedDevice>;
  readonly limiters: ReadonlySet<InterfaceName>;
}

/** `rate` is what goes out, `redirect` what comes in; `mtu`: what comes in may be too long for what it is wired to. */
export interface TrafficFailure {
  readonly dev: InterfaceName;
  readonly part: keyof TrafficDevice | 'mtu';
  readonly why: string;
}

/** In this order; each list is a batch. */
export interface TrafficPlan {
  readonly withdraw: readonly string[];
  /** For ip. */
  readonly links: readonly string[];
  readonly bring: readonly string[];
  readonly refused: readonly TrafficFailure[];
}

/** `devs`: those that are looked at. */
export function planTraffic(observed: ObservedTraffic, wanted: Traffic, devs: Iterable<InterfaceName>): TrafficPlan {
  const [withdraw, links, bring, refused]: [string[], string[], string[], TrafficFailure[]] = [[], [], [], []];
  for (const dev of devs) {
    const want = wanted.devices.get(dev) ?? {};
    const isLimiter = wanted.limiters.has(dev);
    if (isLimiter && !observed.limiters.has(dev)) links.push(...renderLimiter(dev));
    if (!isLimiter && observed.limiters.has(dev)) {
      links.unshift(`link del dev ${dev}`);
      continue;
    }
    const have = observed.devices.get(dev) ?? (isLimiter ? NOTHING : undefined);
    if (have === undefined) continue;
    planRoot(dev, have, want, { withdraw, bring, refused });
    planIngress(dev, have, want, { withdraw, bring, refused });
  }
  return { withdraw, links, bring, refused };
}

const NOTHING: ObservedDevice = { root: { kind: 'none' }, ingress: { qdisc: 'none', ours: [], foreign: 0 } };

interface Lists {
  readonly withdraw: string[];
  readonly bring: string[];
  readonly refused: TrafficFailure[];
}

function planRoot(dev: InterfaceName, { root }: ObservedDevice, { rate }: TrafficDevice, lists: Lists): void {
  if (rate === undefined) {
    if (root.kind === 'ours') lists.withdraw.push(`qdisc del dev ${dev} root handle ${MARK}:`);
  } else if (root.kind === 'foreign') {
    lists.refused.push({ dev, part: 'rate', why: foreignRoot(dev, root.text) });
  } else if (root.kind === 'none' || root.rate !== rate || !root.isWhole) {
    lists.bring.push(renderRoot(dev, rate));
  }
}

const foreignRoot = (dev: string, text: string): string =>
  `${dev} has another program's queueing discipline (${text}); tc qdisc del dev ${dev} root takes it away`;

/** What is there with nobody's filter in it disturbs nobody; of clsact, only the filter is ever ours. */
function planIngress(dev: InterfaceName, { ingress }: ObservedDevice, { redirect }: TrafficDevice, lists: Lists): void {
  const { qdisc, ours, foreign } = ingress;
  const isThere = redirect !== undefined && ours.length === 1 && ours[0] === redirect;
  if (redirect !== undefined && foreign > 0) {
    lists.refused.push({ dev, part: 'redirect', why: foreignFilters(dev, isThere) });
    if (ours.length === 0) return;
  }
  if (isThere) return;
  if (ours.length > 0) {
    const isAll = redirect === undefined && qdisc === 'ingress' && foreign === 0;
    lists.withdraw.push(isAll ? `qdisc del dev ${dev} ingress` : `filter del dev ${dev} ingress pref ${MARK}`);
  }
  if (redirect === undefined) return;
  if (qdisc === 'none') lists.bring.push(`qdisc add dev ${dev} ingress`);
  lists.bring.push(renderRedirect(dev, redirect));
}

const foreignFilters = (dev: string, isThere: boolean): string =>
  `${dev} has filters of another program's at its ingress${isThere ? ', which may take frames first' : ''}; tc filter show dev ${dev} ingress lists them`;

/** Milliseconds for which a packet may wait. */
export const LATENCY = 50;

/** 10 ms' worth, and a jumbo frame at least: what is longer than the burst would never pass. */
export const burstOf = (rate: number): number => Math.max(Math.ceil(rate / 8 / 100), 16_384);

/** `replace` changes one that is there in place, with the packets that wait in it. */
const renderRoot = (dev: InterfaceName, rate: number): string =>
  `qdisc replace dev ${dev} root handle ${MARK}: tbf rate ${rate}bit burst ${burstOf(rate)}b latency ${LATENCY}ms`;

/**
 * Matches every frame. `at -12`: within the Ethernet header, which each has; u32 passes over frames that end before
 * what it compares, be it with nothing.
 */
const renderRedirect = (dev: InterfaceName, to: InterfaceName): string =>
  `filter add dev ${dev} ingress protocol all pref ${MARK} u32 match u32 0 0 at -12 action mirred egress redirect dev ${to}`;

/** Without an address of its own: as an interface like any other it would have said hello to the packets' next hop. */
const renderLimiter = (dev: InterfaceName): string[] => [
  `link add name ${dev} type ifb`,
  `link set dev ${dev} addrgenmode none`,
  `link set dev ${dev} up`,
];

/** All of it for a host that has none of it: first for ip, then for tc. */
export function renderTraffic(wanted: Traffic): { readonly links: readonly string[]; readonly tc: readonly string[] } {
  const devices = new Map([...wanted.devices.keys()].map((dev) => [dev, NOTHING]));
  const { links, bring } = planTraffic({ devices, limiters: new Set() }, wanted, devices.keys());
  return { links, tc: bring };
}
