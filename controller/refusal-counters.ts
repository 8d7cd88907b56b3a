/** Clears what was counted as refused for interfaces that are gone; the next owner of the name starts at nothing. */
import { TABLE } from '../render/ruleset.ts';
import { type Log, messageOf } from './log.ts';
import type { NftChannel } from './nft-channel.ts';
import type { Run } from './run.ts';

export interface RefusalCleaner {
  /** Clears them soon, unless the interface is claimed again by then. */
  forget(veths: readonly string[]): void;
  /** Resolves when nothing waits any more. */
  idle(): Promise<void>;
}

const SETS = ['refused_egress4', 'refused_egress6', 'refused_ingress4', 'refused_ingress6'];

/** An element may expire between listing and deleting, which refuses the whole transaction. */
const ATTEMPTS = 3;

/** The sets hold up to 65,535 elements each: they are listed off the event's path, once for all that waits. */
export function createRefusalCleaner(
  run: Run,
  nft: NftChannel,
  log: Log,
  isClaimed: (veth: string) => boolean,
): RefusalCleaner {
  const waiting = new Set<string>();
  let working: Promise<void> | undefined;

  async function work(): Promise<void> {
    while (waiting.size > 0) {
      const veths = [...waiting].filter((veth) => !isClaimed(veth));
      waiting.clear();
      for (const set of SETS) await clear(set, veths);
    }
  }

  async function clear(set: string, veths: readonly string[]): Promise<void> {
    for (let attempt = 1; veths.length > 0; attempt += 1) {
      const { stdout, exitCode } = await run('nft', ['list', 'set', 'inet', TABLE, set]);
      const keys = exitCode === 0 ? elementsOf(stdout, veths) : [];
      if (keys.length === 0) return;
      const refusal = await nft.commit([`delete element inet ${TABLE} ${set} { ${keys.join(', ')} }`]);
      if (refusal === undefined) return;
      if (attempt === ATTEMPTS) throw new Error(refusal.message);
    }
  }

  return {
    forget: (veths) => {
      for (const veth of veths) waiting.add(veth);
      if (waiting.size === 0) return;
      working ??= work()
        .catch((cause: unknown) => log('warning', `counters of refused packets: ${messageOf(cause)}`))
        .finally(() => {
          working = undefined;
        });
    },
    idle: async () => {
      while (working !== undefined) await working;
    },
  };
}

/** Elements as nft lists them, `"veth0" . 192.0.2.53 . udp . 53 counter packets 1 bytes 29 expires 59m40s`, less the rest. */
export function elementsOf(listing: string, veths: readonly string[]): string[] {
  const wanted = new Set(veths);
  return [...listing.matchAll(/"([^"]+)" \. \S+ \. \S+ \. \d+/g)]
    .filter(([, veth]) => wanted.has(veth ?? ''))
    .map(([key]) => key);
}
