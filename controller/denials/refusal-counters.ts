/** Clears what was counted as refused for interfaces that are gone; the next owner of the name starts at nothing. */
import { TABLE } from '../../render/ruleset.ts';
import type { NftChannel } from '../commands/nft-channel.ts';
import type { Run } from '../commands/run.ts';
import { type Log, messageOf } from '../log.ts';
import { type CountedElement, type Counting, readCounted } from './counted-packets.ts';

export interface RefusalCleaner {
  /** Host-side veths, and addresses of containers on bridges. Clears them soon, unless somebody has them again by then. */
  forget(gone: readonly string[]): void;
  /** Resolves when nothing waits any more. */
  idle(): Promise<void>;
}

interface RefusalCleanerOptions {
  readonly isClaimed: (whose: string) => boolean;
  readonly countings: () => readonly Counting[];
}

/** An element may expire between listing and deleting, which refuses the whole transaction. */
const ATTEMPTS = 3;

/** The sets hold up to 65,535 elements each: they are listed off the event's path, once for all that waits. */
export function createRefusalCleaner(
  run: Run,
  nft: NftChannel,
  log: Log,
  { isClaimed, countings }: RefusalCleanerOptions,
): RefusalCleaner {
  const waiting = new Set<string>();
  let working: Promise<void> | undefined;

  async function work(): Promise<void> {
    while (waiting.size > 0) {
      const gone = [...waiting].filter((whose) => !isClaimed(whose));
      waiting.clear();
      await clear(new Set(gone)).catch((cause: unknown) => {
        // Tried again behind the next pass.
        for (const whose of gone) waiting.add(whose);
        throw cause;
      });
    }
  }

  async function clear(gone: ReadonlySet<string>): Promise<void> {
    for (let attempt = 1; gone.size > 0; attempt += 1) {
      const elements = await readCounted(run, countings(), gone);
      if (elements.length === 0) return;
      const refusal = await nft.commit(deletions(elements));
      if (refusal === undefined) return;
      if (attempt === ATTEMPTS) throw new Error(refusal.message);
    }
  }

  return {
    forget: (gone) => {
      for (const whose of gone) waiting.add(whose);
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

/** One command for each set. */
function deletions(elements: readonly CountedElement[]): string[] {
  const sets = new Set(elements.map(({ set }) => set));
  return [...sets].map((name) => {
    const keys = elements.filter(({ set }) => set === name).map(({ key }) => key);
    return `delete element inet ${TABLE} ${name} { ${keys.join(', ')} }`;
  });
}
