/** What someone else changed and was put back, in the log. */
import { networkOf } from '../../render/address.ts';
import type { DesiredState, NicState } from '../../render/desired.ts';
import type { Log } from '../log.ts';

/** A flush of everything is one event, however many lines it takes to heal. */
const MOST = 50;

export function tellRepairs(log: Log, lines: readonly string[], { nics }: DesiredState): void {
  if (lines.length === 0) return;
  const owners = new Map([...nics.values()].flatMap((nic) => wordsOf(nic).map((word) => [word, nic] as const)));
  for (const line of lines.slice(0, MOST)) {
    const nic = line.split(/[\s"{}/]+/).flatMap((word) => owners.get(word) ?? [])[0];
    const about = nic === undefined ? {} : { CONTAINER: nic.container, INTERFACE: nic.hostVeth };
    log('warning', `repaired: ${line}`, { EVENT: 'repaired', ...about });
  }
  if (lines.length > MOST) log('warning', `repaired: ${lines.length - MOST} more lines`, { EVENT: 'repaired' });
}

/** By which a line names it: a proxy's line names another interface. */
const wordsOf = ({ hostVeth, owned }: NicState): string[] => [hostVeth, ...owned.map(networkOf)];
