/** What the kernel holds against what it should hold, both in nft's (or iptables') and ip's own words. */
import type { HostConfig } from '../../policies/config.ts';
import type { HostLink } from '../../policies/host-network.ts';
import type { DesiredState, Route } from '../../render/desired.ts';
import { diffRouting, type Routing, routingOf } from '../../render/routing.ts';
import type { ChosenBackend } from '../apply/choose-backend.ts';
import { compareUplinks } from '../apply/uplink-routing.ts';
import type { Run } from '../commands/run.ts';
import { type HeldRules, holdsAny, listRules, readHeldRules } from './held-rules.ts';
import type { ListedChains } from './listed-chains.ts';
import { type ObservedRouting, readRouting } from './observe.ts';

/** Lines as `ip` would name the objects: `198.51.100.10/32 dev veth0`. */
export interface Change {
  readonly add: readonly string[];
  readonly remove: readonly string[];
}

export interface KernelComparison {
  readonly changed: boolean;
  /** A unified diff from the kernel's listing to the desired one; empty where they are the same. */
  readonly ruleset: string;
  readonly routes: Change;
  readonly neighbourProxies: Change;
  readonly gateways: Change;
  /** Whose rules were compared. */
  readonly backend: ChosenBackend;
  /** Whether the kernel holds any rules of ours. */
  readonly holdsRules: boolean;
  /** The kernel's listing, and that of the desired ruleset. */
  readonly observed: ListedChains;
  readonly expected: ListedChains;
  /** What was compared with: as the backend can hold it. */
  readonly desired: DesiredState;
}

export interface KernelReading {
  readonly rules: HeldRules;
  readonly routing: ObservedRouting;
}

/** Needs the right to list rules. May be started before the files are read; `links` as in `readRouting`. @throws CommandError */
export async function readKernel(
  run: Run,
  backend: HostConfig['backend'],
  links?: Promise<readonly HostLink[]>,
): Promise<KernelReading> {
  const [rules, routing] = await Promise.all([readHeldRules(run, backend), readRouting(run, undefined, links)]);
  return { rules, routing };
}

/** Dynamic elements and counters are no difference. @throws CommandError */
export async function compareWithKernel(
  run: Run,
  desired: DesiredState,
  reading: Promise<KernelReading>,
): Promise<KernelComparison> {
  const { rules, routing } = await reading;
  const { observed, expected, difference: ruleset, holdable } = await listRules(run, rules, desired);
  const { add, remove } = diffRouting(ours(routing, desired), routingOf(desired));
  const uplinks = await compareUplinks(run, desired.host.uplinkTables, routing);
  const routes = {
    add: [...add.routes.map(describeRoute), ...uplinks.add],
    remove: [...remove.routes.map(describeRoute), ...uplinks.remove],
  };
  const neighbourProxies = { add: onDevices(add.proxies), remove: onDevices(remove.proxies) };
  const gateways = { add: onDevices(add.gateways), remove: onDevices(remove.gateways) };
  const changed = ruleset !== '' || [routes, neighbourProxies, gateways].some(isChange);
  return {
    ...{ changed, ruleset, routes, neighbourProxies, gateways, holdsRules: holdsAny(rules) },
    backend: rules.kind === 'nftables' ? 'nftables' : `iptables-${rules.variant}`,
    ...{ observed, expected, desired: holdable },
  };
}

const isChange = ({ add, remove }: Change): boolean => add.length + remove.length > 0;

const onDevices = (list: readonly { readonly address: string; readonly dev: string }[]): string[] =>
  list.map(({ address, dev }) => `${address} dev ${dev}`);

/** A proxy that someone else put there answers as well as ours would, and is left alone. */
function ours(observed: ObservedRouting, desired: DesiredState): Routing {
  const veths = new Set([...desired.nics.values()].map(({ hostVeth }) => hostVeth));
  const wanted = new Set(onDevices(routingOf(desired).proxies));
  const foreign = observed.foreignProxies.filter(({ address, dev }) => wanted.has(`${address} dev ${dev}`));
  return {
    gateways: observed.linkAddresses.filter(({ dev }) => veths.has(dev)),
    routes: observed.routes,
    proxies: [...observed.proxies, ...foreign],
  };
}

const describeRoute = ({ prefix, dev, via, table }: Route): string =>
  `${prefix}${via === undefined ? '' : ` via ${via}`} dev ${dev}${table === undefined ? '' : ` table ${table}`}`;
