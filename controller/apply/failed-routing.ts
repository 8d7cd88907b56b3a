/** Routing lines that `ip` refused: kept until one succeeds or nobody wants it any more, and tried again with each pass. */
import type { DesiredState, NicState } from '../../render/desired.ts';
import { type Routing, renderRouting, routingOf } from '../../render/routing.ts';
import type { FailedLine } from '../commands/ip-channel.ts';

const NOTHING: Routing = { gateways: [], routes: [], proxies: [] };

export class FailedRouting {
  /** `ip`'s message by line. */
  readonly #messages = new Map<string, string>();
  readonly #lines = new WeakMap<NicState, readonly string[]>();

  /** After `lines` were written. @returns the failures to remove something, which keep nobody from what it shall have. */
  note(lines: readonly string[], failures: readonly FailedLine[]): FailedLine[] {
    for (const line of lines) this.#messages.delete(line);
    const isAddition = ({ line }: FailedLine): boolean => line.includes(' replace ');
    for (const { line, message } of failures.filter(isAddition)) this.#messages.set(line, message);
    return failures.filter((failure) => !isAddition(failure));
  }

  /** What is still to be had; the rest is forgotten. */
  wanted(enforced: DesiredState): Routing {
    if (this.#messages.size === 0) return NOTHING;
    const concerned = new Map<string, NicState>();
    for (const [key, nic] of enforced.nics) if (this.#failedLine(nic) !== undefined) concerned.set(key, nic);
    const { gateways, routes, proxies } = routingOf({ ...enforced, nics: concerned });
    const again: Routing = {
      gateways: gateways.filter((gateway) => this.#failed({ gateways: [gateway] })),
      routes: routes.filter((route) => this.#failed({ routes: [route] })),
      proxies: proxies.filter((proxy) => this.#failed({ proxies: [proxy] })),
    };
    const lines = new Set(linesOf(again));
    for (const line of this.#messages.keys()) if (!lines.has(line)) this.#messages.delete(line);
    return again;
  }

  /** By NIC key: one line that failed, and why. */
  byNic(enforced: DesiredState): ReadonlyMap<string, string> {
    const found = new Map<string, string>();
    if (this.#messages.size === 0) return found;
    for (const [key, nic] of enforced.nics) {
      const line = this.#failedLine(nic);
      if (line !== undefined) found.set(key, `ip ${line}: ${this.#messages.get(line)}`);
    }
    return found;
  }

  /** Its lines are remembered: while one fails, each pass asks all NICs. */
  #failedLine(nic: NicState): string | undefined {
    const lines = this.#lines.get(nic) ?? linesOf(nic);
    this.#lines.set(nic, lines);
    return lines.find((line) => this.#messages.has(line));
  }

  #failed = (part: Partial<Routing>): boolean => linesOf(part).some((line) => this.#messages.has(line));
}

const linesOf = (part: Partial<Routing>): string[] => renderRouting({ add: { ...NOTHING, ...part }, remove: NOTHING });
