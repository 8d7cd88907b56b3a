/** Whether the kernel holds what it shall, found out beside passes: containers start and stop meanwhile. */
import type { HostLink } from '../../policies/host-network.ts';
import { changedNicKeys } from '../../render/changed-nics.ts';
import type { DesiredState, NicState } from '../../render/desired.ts';
import { changedNames } from '../../render/dns-sets.ts';
import { diffRouting, type Routing, renderRouting, routingOf } from '../../render/routing.ts';
import type { PortIsolation } from '../bridged/port-isolation.ts';
import type { Run } from '../commands/run.ts';
import type { Turn } from '../in-turns.ts';
import { type ObservedRouting, readRouting } from '../kernel/observe.ts';
import type { AddressClaims } from '../probe/address-claims.ts';
import type { Backend } from './backend.ts';
import { type ForeignProxies, keysOf, type LxcProxy } from './foreign-proxies.ts';
import type { NicSysctls } from './nic-sysctls.ts';

export interface KernelLookPorts {
  readonly backend: Backend;
  readonly run: Run;
  readonly foreign: ForeignProxies;
  readonly claims: AddressClaims;
  readonly sysctls: NicSysctls;
  readonly isolation: PortIsolation;
}

export interface LookRequest {
  /** In force when the look begins. */
  readonly state: DesiredState;
  readonly lxcProxies: () => readonly LxcProxy[];
  readonly areLinksKnown: (links: readonly HostLink[]) => boolean;
  readonly turn: Turn;
  /** Waits until no pass is at work: what is written and what is in force are the same then. */
  readonly idle: () => Promise<void>;
}

/** `undefined`: not known. */
type InForce = DesiredState | undefined;

/** `alone`: all is right, and nothing changed meanwhile; `beside`: what didn't change is right. */
export type Found = 'alone' | 'beside' | 'differs';

export class KernelLook {
  readonly #ports: KernelLookPorts;
  /** What was in force since each look began. */
  readonly #followed = new Set<InForce[]>();

  constructor(ports: KernelLookPorts) {
    this.#ports = ports;
  }

  /** What is in force from now on. */
  follow(state: InForce): void {
    for (const states of this.#followed) if (states.at(-1) !== state) states.push(state);
  }

  /** To be begun while no pass is at work. @throws Error where a reading fails, or the rest of the state changed meanwhile. */
  async compare({ state, lxcProxies, areLinksKnown, turn, idle }: LookRequest): Promise<Found> {
    const { backend, run, sysctls, isolation } = this.#ports;
    const states: InForce[] = [state];
    this.#followed.add(states);
    const touched = async (): Promise<ReadonlySet<NicState>> => {
      await idle();
      return changedIn(states);
    };
    try {
      if ((await backend.holds?.(state, { run, turn, touched })) !== true) return 'differs';
      const routing = await readRouting(run, turn);
      const others = await touched();
      if (!areLinksKnown(routing.links) || !this.#isRouted(state, routing, others, lxcProxies())) return 'differs';
      await turn();
      const rest = async () => without(state, await touched());
      if (await isolation.hasDrift(await rest(), { run, turn, state: rest })) return 'differs';
      if (await sysctls.hasDrift(await rest(), rest)) return 'differs';
      return (await touched()).size === 0 && states.length === 1 ? 'alone' : 'beside';
    } finally {
      this.#followed.delete(states);
    }
  }

  #isRouted(
    state: DesiredState,
    observed: ObservedRouting,
    others: ReadonlySet<NicState>,
    lxcProxies: readonly LxcProxy[],
  ): boolean {
    const wanted = without(state, others);
    const veths = new Set<string>([...wanted.nics.values()].map(({ hostVeth }) => hostVeth));
    const links = new Set<string>(observed.links.map(({ name }) => name));
    const isThere = ({ dev }: { readonly dev: string }): boolean => links.has(dev) || !NAMELESS.test(dev);
    const present: Routing = {
      gateways: observed.linkAddresses.filter(({ dev }) => veths.has(dev)),
      routes: observed.routes.filter(isThere),
      proxies: observed.proxies.filter(isThere),
    };
    const { add, remove } = diffRouting(present, routingOf(wanted));
    const left = keysOf(lxcProxies.filter(({ running }) => !running));
    const leaked = observed.foreignProxies.some(({ address, dev }) => left.has(`${address} ${dev}`));
    const missing = this.#ports.foreign.spare({ ...add, proxies: this.#ports.claims.spare(add.proxies) });
    const theirs = routingOf({ ...state, nics: new Map([...others].map((nic, index) => [String(index), nic])) });
    const stray = diffRouting(theirs, remove).add;
    return !leaked && renderRouting({ add: missing, remove: stray }).length === 0;
  }
}

/** What `ip` calls an interface that went while its routes or proxies were listed, as of a container that stops. */
const NAMELESS = /^if\d+$/;

const without = (state: DesiredState, others: ReadonlySet<NicState>): DesiredState =>
  others.size === 0 ? state : { ...state, nics: new Map([...state.nics].filter(([, nic]) => !others.has(nic))) };

/** During a resync nothing is known for a moment; it goes on from what was known before. */
function changedIn(states: readonly InForce[]): ReadonlySet<NicState> {
  if (states.at(-1) === undefined) throw new Error('what is in force is not known');
  const changed = new Set<NicState>();
  const [first, ...later] = states.filter((state) => state !== undefined);
  let before = first;
  for (const after of later) {
    if (before === undefined) break;
    if (before.host !== after.host || changedNames(before.dns, after.dns).length > 0)
      throw new Error('more than containers changed meanwhile');
    for (const key of changedNicKeys(before, after))
      for (const { nics } of [before, after]) {
        const nic = nics.get(key);
        if (nic !== undefined) changed.add(nic);
      }
    before = after;
  }
  return changed;
}
