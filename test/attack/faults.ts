/** What may happen to a host, one small fault each; those that cost packets by their nature say so to the traffic. */
import { CONTAINER_FAULTS } from './faults/containers.ts';
import { type Dice, type Faults, pick } from './faults/fault.ts';
import { HOST_FAULTS } from './faults/host.ts';
import { KERNEL_FAULTS } from './faults/kernel.ts';
import { POLICY_FAULTS } from './faults/policies.ts';
import { PROGRAM_FAULTS } from './faults/programs.ts';
import type { World } from './world.ts';

const FAULTS: Faults = { ...POLICY_FAULTS, ...CONTAINER_FAULTS, ...PROGRAM_FAULTS, ...KERNEL_FAULTS, ...HOST_FAULTS };

/** One fault, with all that it rolls by its own seed: the same whatever came before. */
export interface Step {
  readonly fault: string;
  readonly seed: number;
}

const choices = Object.entries(FAULTS).flatMap(([name, [weight]]) => Array.from({ length: weight }, () => name));

export const randomStep = (dice: Dice, only: readonly string[] = choices): Step => ({
  fault: pick(dice, only),
  seed: dice(1_000_000_000),
});

/** One a line, or a comma between them. */
export const parseSteps = (text: string): Step[] =>
  [...text.matchAll(/(\w+) (\d+)/g)].map(([, fault = '', seed]) => ({ fault, seed: Number(seed) }));

/** @returns whether it changed anything. */
export async function inflict(world: World, { fault }: Step, dice: Dice): Promise<boolean> {
  const [, inflictIt] = FAULTS[fault] ?? [];
  if (inflictIt === undefined) throw new Error(`there is no fault "${fault}"`);
  return await inflictIt(world, dice);
}
