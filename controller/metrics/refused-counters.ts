/** How many packets the policies refused, as the ruleset counts them by interface, peer, protocol and port. */
import { TABLE } from '../../render/ruleset.ts';
import { CommandError, type Run } from '../run.ts';

export type Direction = 'egress' | 'ingress';

/** One element of a set: a key of its own, and how often it was met since it came into the set. */
export interface RefusedElement {
  readonly veth: string;
  readonly direction: Direction;
  readonly key: string;
  readonly packets: number;
}

const SETS = (['egress', 'ingress'] as const).flatMap((direction) =>
  (['4', '6'] as const).map((family) => `refused_${direction}${family}`),
);

/**
 * One fork for all of the sets, beside the resident nft: a long listing must keep no transaction waiting. A line each,
 * since of several commands in one line, nft 1.0.6 finds only the last one's set. @throws CommandError
 */
export async function readRefused(run: Run): Promise<RefusedElement[]> {
  const input = SETS.map((set) => `list set inet ${TABLE} ${set}\n`).join('');
  const { stdout, stderr } = await run('nft', ['--numeric', '-i'], { input, timeout: 60_000 });
  // Its exit status tells nothing of single lines.
  if (stderr !== '') throw new CommandError(`nft: ${stderr.trim()}`);
  return parseRefused(stdout);
}

/** `"veth0" . 192.0.2.53 . udp . 53 counter packets 1 bytes 29 expires 59m40s` below `set refused_egress4 {` */
export function parseRefused(listing: string): RefusedElement[] {
  const found: RefusedElement[] = [];
  const pattern = /set refused_(egress|ingress)[46] \{|("([^"]+)" \. \S+ \. \S+ \. \d+) counter packets (\d+)/g;
  let direction: Direction = 'egress';
  for (const [, set, key, veth, packets] of listing.matchAll(pattern)) {
    if (set === 'egress' || set === 'ingress') direction = set;
    else if (key !== undefined && veth !== undefined)
      found.push({ veth, direction, key: `${direction} ${key}`, packets: Number(packets) });
  }
  return found;
}
