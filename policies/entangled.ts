/** Of whom others depend: whose start or stop may give or take what somebody else wants, or wants in vain. */
import type { Refused } from './attachments.ts';
import { type Claim, type ContestedClaim, type RefusedClaim, refuseClaims } from './claims.ts';
import type { NicPlan } from './nic-plans.ts';
import type { Problem } from './problem.ts';
import type { NicMemo, RunningInput } from './running-nics.ts';

type Nics = ReadonlyMap<string, NicMemo>;

/** What was decided about those who want the same, and the state that followed. */
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
 * By NIC key; nobody whom it doesn't name changes anything for others, nor is told anything. Decisions look at who holds
 * what, so that one that was just made can come out otherwise once it is in force; only who gets a hardware address holds it.
 *
 * @returns undefined where it isn't sure to come out the same again
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
  // Of these the rivals aren't known by name.
  if (new Set(veths.values()).size < veths.size) return false;
  if ([...translations.values()].some(({ lost }) => lost.size > 0)) return false;
  return JSON.stringify(refuseClaims(contested, holdsIn(nics, veths), veths)) === JSON.stringify(refused);
}
