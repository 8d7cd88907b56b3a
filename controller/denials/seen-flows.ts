/** What the ruleset has recorded of one container: what would have been refused while it was observed, or was refused. */
import type { Container } from '../../policies/endpoint.ts';
import type { Seen } from '../../policies/learn/seen.ts';
import { parseAddress } from '../../render/address.ts';
import type { Run } from '../commands/run.ts';
import { nicIndexOf } from '../host/nic-index.ts';
import type { Assembled } from '../pass/assemble.ts';
import { type CountedElement, type Counting, readCounted } from './counted-packets.ts';
import { refusedOn } from './denials.ts';

export interface SeenHost {
  /** As if all containers ran. */
  readonly assembled: Assembled;
  /** By endpoint key. */
  readonly veths: ReadonlyMap<string, string>;
}

/** `as`: `observed` is kept for 31 days, also over restarts of the container; `refused` for an hour. @throws CommandError */
export async function readSeen(
  run: Run,
  container: Container,
  as: readonly Counting['as'][],
  host: SeenHost,
): Promise<Seen[]> {
  const countings = as.flatMap((one) =>
    one === 'refused'
      ? refusedOn(host.assembled.desired.host)
      : (['egress', 'ingress'] as const).map((by) => ({ as: one, by })),
  );
  return seenBy(container, await readCounted(run, countings), host, Date.now());
}

/** `now`: milliseconds since 1970, when the elements were read. */
export function seenBy(
  { endpoints }: Container,
  elements: readonly CountedElement[],
  { assembled, veths }: SeenHost,
  now: number,
): Seen[] {
  const owner = ({ as, whose, isBridged = false }: CountedElement): string | undefined => {
    const address = as === 'observed' || isBridged ? parseAddress(whose) : undefined;
    if (address !== undefined) return nicIndexOf(assembled.desired).ownerOf(address)?.key;
    return endpoints.find(({ key }) => veths.get(key) === whose)?.key;
  };
  const seen = new Map<string, Seen>();
  for (const element of elements) {
    const key = owner(element);
    const endpoint = endpoints.find((one) => one.key === key);
    const { by, peer, protocol, port, packets, age } = element;
    if (endpoint === undefined || by === 'spoof' || by === 'guard') continue;
    const id = [key, by, peer, protocol, port].join(' ');
    const known = seen.get(id);
    seen.set(id, {
      ...{ direction: by, key: endpoint.key, peer, protocol, port },
      packets: packets + (known?.packets ?? 0),
      lastSeen: Math.max(now - age, known?.lastSeen ?? 0),
    });
  }
  return [...seen.values()];
}
