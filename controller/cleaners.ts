/** What is taken away behind the rules: connections that nobody may have any more, and counts of packets of who is gone. */
import { networkOf } from '../render/address.ts';
import { followNicsBy } from '../render/followed-nics.ts';
import type { Applier } from './apply/apply.ts';
import type { NftChannel } from './commands/nft-channel.ts';
import type { Run } from './commands/run.ts';
import { type ConntrackCleaner, createConntrackCleaner } from './connections/conntrack.ts';
import { createFlowCutter, type FlowCutter } from './connections/cut-flows.ts';
import { createTranslationCutter, type TranslationCutter } from './connections/cut-translations.ts';
import { createPretendedFlowCutter, type PretendedFlowCutter } from './connections/pretended-flows.ts';
import type { TrackedFlows } from './connections/tracked-flows.ts';
import type { WatchedFlows } from './connections/watched-flows.ts';
import { deniedOn } from './denials/denials.ts';
import { createRefusalCleaner, type RefusalCleaner } from './denials/refusal-counters.ts';
import type { Log } from './log.ts';

export interface Cleaners {
  readonly conntrack: ConntrackCleaner;
  readonly cutter: FlowCutter;
  readonly translations: TranslationCutter;
  readonly pretended: PretendedFlowCutter;
  readonly refusals: RefusalCleaner;
}

export interface CleanersOptions {
  readonly flows: TrackedFlows;
  readonly watched: WatchedFlows;
  readonly applier: Applier;
  readonly run: Run;
  readonly nft: NftChannel;
  /** Where iptables serves, nobody counts. */
  readonly countsRefusals: () => boolean;
  readonly log: Log;
}

export function createCleaners({ flows, watched, applier, run, nft, countsRefusals, log }: CleanersOptions): Cleaners {
  // By what their refused packets are counted.
  const counted = followNicsBy(({ hostVeth, port, owned }): string[] => [
    hostVeth,
    ...(port === undefined ? [] : owned.map(networkOf)),
  ]);
  return {
    conntrack: createConntrackCleaner(
      flows,
      log,
      // While nothing is known to be enforced, no address is back: rather too many are forgotten.
      ({ key, prefix }) => applier.enforced?.nics.get(key)?.owned.includes(prefix) === true,
    ),
    cutter: createFlowCutter(flows, log),
    translations: createTranslationCutter(flows, log),
    pretended: createPretendedFlowCutter(flows, watched, log),
    refusals: createRefusalCleaner(run, nft, log, {
      isClaimed: (whose) => applier.lastEnforced !== undefined && counted(applier.lastEnforced).has(whose),
      countings: () => (countsRefusals() ? deniedOn(applier.lastEnforced?.host ?? {}) : []),
    }),
  };
}
