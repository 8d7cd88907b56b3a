/** What a change of policies opened and closed for what runs. */

import type { LoadedPolicies } from '../../policies/load-policies.ts';
import type { DesiredState } from '../../render/desired.ts';
import { renderDesired } from '../../render/nft.ts';
import { nameOf } from '../apply/apply.ts';
import { changedPolicies } from '../apply/changed-policies.ts';
import type { Assembled } from '../assemble.ts';
import type { Run } from '../commands/run.ts';
import { type NicChange, readFlowChanges } from '../explain/flow-changes.ts';
import { listedByNft } from '../kernel/listed-chains.ts';
import { listElsewhere } from '../kernel/observe.ts';

/** More NICs than this are judged by these: the answer is for a person. */
const JUDGED = 500;

/** Of NICs that had rules before and have others now. @throws CommandError */
export async function readFlowsBetween(
  run: Run,
  before: DesiredState | undefined,
  after: DesiredState,
  { network, book, policies }: Pick<Assembled, 'network' | 'book' | 'policies'>,
  loaded: LoadedPolicies,
): Promise<NicChange[]> {
  if (before === undefined) return [];
  const keys = new Set(changedPolicies(before, after).slice(0, JUDGED));
  if (keys.size === 0) return [];
  const only = (nics: DesiredState['nics']) => new Map([...nics].filter(([key]) => keys.has(key)));
  // By nft whichever backend serves: the words are about policies, and the host's kernel isn't read.
  const list = async (state: DesiredState) =>
    listedByNft(await listElsewhere(run, renderDesired({ ...state, nics: only(state.nics) }, nameOf)));
  const [observed, expected] = await Promise.all([list(before), list(after)]);
  return readFlowChanges({ observed, expected }, { desired: after, network, book, policies }, loaded, Date.now());
}
