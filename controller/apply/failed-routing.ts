/** Routing lines that `ip` refused: kept until one succeeds or nobody wants it any more, and tried again with each pass. */
import type { DesiredState } from '../../render/desired.ts';
import { followNicsBy } from '../../render/followed-nics.ts';
import { type Routing, renderRouting, routingOf } from '../../render/routing.ts';
import type { FailedLine } from '../commands/ip-channel.ts';
import { NO_ROUTING, pickNics } from './pick-nics.ts';

export class FailedRouting {
  /** `ip`'s message by line. */
  readonly #messages = new Map<string, string>();
  /** By what tells of a NIC in a line of its own: its veth, or the address of a proxy. */
  readonly #byWord = followNicsBy(({ hostVeth, proxies }): string[] => [
    hostVeth,
    ...proxies.map(({ address }) => address),
  ]);

  /** After `lines` were written. @returns the failures to remove something, which keep nobody from what it shall have. */
  note(lines: readonly string[], failures: readonly FailedLine[]): FailedLine[] {
    for (const line of lines) this.#messages.delete(line);
    const isAddition = ({ line }: FailedLine): boolean => line.includes(' replace ');
    for (const { line, message } of failures.filter(isAddition)) this.#messages.set(line, message);
    return failures.filter((failure) => !isAddition(failure));
  }

  /** What is still to be had; the rest is forgotten. */
  wanted(enforced: DesiredState): Routing {
    if (this.#messages.size === 0) return NO_ROUTING;
    const { gateways, routes, proxies } = routingOf(pickNics(enforced, this.#concerned(enforced)));
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
    for (const key of this.#concerned(enforced)) {
      const nic = enforced.nics.get(key);
      const line = nic && linesOf(nic).find((each) => this.#messages.has(each));
      if (line !== undefined) found.set(key, `ip ${line}: ${this.#messages.get(line)}`);
    }
    return found;
  }

  /** Keys of the NICs that such a line may be of: while one fails, each pass asks. */
  #concerned(enforced: DesiredState): string[] {
    if (this.#messages.size === 0) return [];
    const byWord = this.#byWord(enforced);
    const words = new Set([...this.#messages.keys()].flatMap((line) => line.split(' ')));
    return [...new Set([...words].flatMap((word) => [...(byWord.get(word) ?? [])]))];
  }

  #failed = (part: Partial<Routing>): boolean => linesOf(part).some((line) => this.#messages.has(line));
}

const linesOf = (part: Partial<Routing>): string[] =>
  renderRouting({ add: { ...NO_ROUTING, ...part }, remove: NO_ROUTING });
