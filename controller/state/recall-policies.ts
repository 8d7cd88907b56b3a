/** Last good policies that an earlier run kept, for containers whose files have been broken since this run began. */
import type { CompiledPolicy } from '../../policies/compile-policy.ts';
import type { ContainerPolicy } from '../pass/choose-policies.ts';
import type { LastGood } from './last-good.ts';

interface BrokenPolicy {
  /** The container's. */
  readonly id: string;
  readonly name: string;
}

/** Those that are shut by errors in their files, since no good policy of theirs is known yet. */
export const shutByErrors = (policies: ReadonlyMap<string, ContainerPolicy>): BrokenPolicy[] =>
  [...policies].flatMap(([id, { status, compiled }]) =>
    status === 'closed' && !compiled.ok ? [{ id, name: compiled.container }] : [],
  );

/** By container name. `now` in milliseconds. */
export async function recallPolicies(
  lastGood: Pick<LastGood, 'recall'>,
  shut: readonly BrokenPolicy[],
  now: number,
): Promise<Map<string, CompiledPolicy>> {
  const recalled = new Map<string, CompiledPolicy>();
  for (const { id, name } of shut) {
    if (recalled.has(name)) continue;
    const policy = await lastGood.recall(name, { now, id });
    if (policy !== undefined) recalled.set(name, policy);
  }
  return recalled;
}
