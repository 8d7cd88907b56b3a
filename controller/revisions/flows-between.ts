/** What a change of policies opened and closed for what runs. */

import type { LoadedPolicies } from '../../policies/load-policies.ts';
import type { DesiredState } from '../../render/desired.ts';
import type { PolicyChain } from '../../render/rule.ts';
import { nameOf } from '../apply/apply.ts';
import { changedPolicies } from '../apply/changed-policies.ts';
import { type NicChange, readFlowChanges } from '../explain/flow-changes.ts';
import type { ListedChains } from '../kernel/listed-chains.ts';
import type { Assembled } from '../pass/assemble.ts';

/** More NICs than this are judged by these: the answer is for a person. */
const JUDGED = 500;

/** Of NICs that had rules before and have others now. */
export function readFlowsBetween(
  before: DesiredState | undefined,
  after: DesiredState,
  { network, book, policies }: Pick<Assembled, 'network' | 'book' | 'policies'>,
  loaded: LoadedPolicies,
  now = Date.now(),
): NicChange[] {
  if (before === undefined) return [];
  const keys = changedPolicies(before, after).slice(0, JUDGED);
  const [observed, expected] = [chainsOf(before, keys), chainsOf(after, keys)];
  return readFlowChanges({ observed, expected }, { desired: after, network, book, policies }, loaded, now);
}

/** As a listing by nft would have them, whichever backend serves; names tell what chains say. */
function chainsOf({ nics }: DesiredState, keys: readonly string[]): ListedChains {
  const known = keys.flatMap((key) => nics.get(key) ?? []);
  const byVeth = new Map(known.map((nic) => [nic.hostVeth, nic]));
  const byName = new Map<string, PolicyChain>(
    known.flatMap(({ egress, ingress }) => [egress, ingress]).map((chain) => [nameOf(chain), chain]),
  );
  return {
    nameFor: ({ hostVeth }, direction) => {
      const nic = byVeth.get(hostVeth);
      return nic && nameOf(nic[direction]);
    },
    textOf: (name) => name,
    read: (name) => byName.get(name),
  };
}
