/** NICs on which others depend: their start or stop may take from another, or leave to it, what both want. */
import type { Refused } from './attachments.ts';
import { type Claim, type ContestedClaim, type RefusedClaim, refuseClaims } from './claims.ts';
import type { NicPlan } from './nic-plans.ts';
import type { Problem } from './problem.ts';
import type { NicMemo, RunningInput } from './running-nics.ts';

type Nics = ReadonlyMap<string, NicMemo>;

/** What was decided between NICs that want the same, and the state that followed. */
export interface Decided {
  readonly plans: ReadonlyMap<string, NicPlan>;
  readonly contested: readonly ContestedClaim[];
  readonly refused: readonly RefusedClaim[];
  readonly unattached: ReadonlyMap<string, Refused>;
  readonly running: RunningInput;
  readonly nics: Nics;
  /** By container id. */
  readonly problems: ReadonlyMap<string, readonly Problem[]>;
}

/** Whether the NIC has the prefix in the kernel, by what was compiled last. */
export const holdsIn =
  (nics: Nics, veths: RunningInput['veths']) =>
  ({ key, prefix }: Claim): boolean => {
    const memo = nics.get(key);
    return memo !== undefined && veths.get(key) === memo.hostVeth && memo.nic.owned.includes(prefix);
  };

/**
 * Tells by key whether a NIC's start or stop may change anything for others, or a problem of its container. Decisions look at what
 * each NIC holds, so that the same one can come out otherwise once it is in force; not so about hardware addresses, which only
 * the NIC holds that got one.
 *
 * @returns undefined where the decisions aren't sure to come out the same again
 */
export function entangledNics(decided: Decided): ((key: string) => boolean) | undefined {
  const { plans, contested, unattached, problems } = decided;
  if (!isSettled(decided)) return undefined;
  const wanted = new Set(contested.map(({ key }) => key));
  return (key) => {
    const plan = plans.get(key);
    if (plan === undefined) return false;
    const isRival = plan.endpoint.attachment !== undefined && unattached.size > 0;
    return isRival || wanted.has(key) || problems.has(plan.container.id);
  };
}

function isSettled({ contested, refused, running, nics }: Decided): boolean {
  const { veths, translations = new Map() } = running;
  // Where NICs share a veth, or a published port is refused, the rivals aren't known by key.
  if (new Set(veths.values()).size < veths.size) return false;
  if ([...translations.values()].some(({ lost }) => lost.size > 0)) return false;
  return JSON.stringify(refuseClaims(contested, holdsIn(nics, veths), veths)) === JSON.stringify(refused);
}
