/** Writes routes, gateway addresses and proxies, and keeps in mind what `ip` refused. */
import type { DesiredState, GatewayAddress } from '../../render/desired.ts';
import {
  diffRouting,
  proxyKey,
  type Routing,
  type RoutingDiff,
  renderRouting,
  routingOf,
} from '../../render/routing.ts';
import type { FailedLine, IpChannel } from '../commands/ip-channel.ts';
import type { ObservedRouting } from '../kernel/observe.ts';
import type { Log } from '../log.ts';
import { FailedRouting } from './failed-routing.ts';
import { type ForeignProxies, keysOf, type LxcProxy } from './foreign-proxies.ts';
import { NO_ROUTING } from './pick-nics.ts';
import { GONE, RefusedLines } from './refused-lines.ts';

export interface RoutingWriterOptions {
  readonly ip: IpChannel;
  readonly log: Log;
  readonly foreign: ForeignProxies;
}

export class RoutingWriter {
  readonly #options: RoutingWriterOptions;
  /** Host-side veths that were given gateway addresses; another link may have such a name by now. */
  #gatewayVeths = new Set<string>();
  readonly #failed = new FailedRouting();
  /** A comparison is to try these again. */
  readonly removals = new RefusedLines();

  constructor(options: RoutingWriterOptions) {
    this.#options = options;
  }

  /** As in `Applied.unrouted`. */
  refusedByNic(enforced: DesiredState): ReadonlyMap<string, string> {
    return this.#failed.byNic(enforced);
  }

  /** What is to be tried again. */
  refused(enforced: DesiredState): Routing {
    return this.#failed.wanted(enforced);
  }

  async write(diff: RoutingDiff): Promise<void> {
    const lines = renderRouting(diff);
    for (const { dev } of diff.add.gateways) this.#gatewayVeths.add(dev);
    try {
      const failures = this.#failed.note(lines, await this.#options.ip.run(lines));
      for (const failure of this.removals.note(lines, failures)) this.complain(failure);
    } catch (cause) {
      // Else a gateway of a veth that nobody has any more would be looked for by the next comparison alone, which may fail too.
      this.removals.doubt(removalsOf(diff.remove), cause);
      throw cause;
    }
  }

  /** From what the kernel holds of ours to what it shall hold. */
  diffObserved(enforced: DesiredState, observed: ObservedRouting, lxcProxies: readonly LxcProxy[]): RoutingDiff {
    const wanted = routingOf(enforced);
    // A veth that was replaced under its name while a pass was at work may have got what was meant for the one before.
    const veths = new Set<string>([
      ...this.#gatewayVeths,
      ...[...enforced.nics.values()].map(({ hostVeth }) => hostVeth),
    ]);
    this.#gatewayVeths = new Set(wanted.gateways.map(({ dev }) => dev));
    const left = keysOf(lxcProxies.filter(({ running }) => !running));
    const leaked = observed.foreignProxies.filter((proxy) => left.has(proxyKey(proxy)));
    const { lines } = this.removals;
    const isRefused = (gateway: GatewayAddress): boolean =>
      lines.size > 0 && removalsOf({ gateways: [gateway] }).some((line) => lines.has(line));
    const present: Routing = {
      gateways: observed.linkAddresses.filter((gateway) => veths.has(gateway.dev) || isRefused(gateway)),
      routes: observed.routes,
      proxies: observed.proxies,
    };
    const diff = diffRouting(present, wanted);
    const remove = { ...diff.remove, proxies: [...diff.remove.proxies, ...leaked] };
    this.removals.settle(removalsOf(remove));
    return { add: this.#options.foreign.spare(diff.add), remove };
  }

  complain({ line, message }: FailedLine): void {
    if (GONE.test(message)) return;
    this.#options.log('error', `ip ${line}: ${message}`);
  }
}

const removalsOf = (part: Partial<Routing>): string[] =>
  renderRouting({ add: NO_ROUTING, remove: { ...NO_ROUTING, ...part } });
