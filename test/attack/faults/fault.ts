/** What a fault is made of. */

import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { World } from '../world.ts';

export type Dice = (below: number) => number;

/** @returns whether it changed anything, by what the host or the daemon shows: a fault that never does is none. */
export type Fault = (world: World, dice: Dice) => Promise<boolean>;

/** By name: how often it comes beside the others, and what it does. */
export type Faults = Readonly<Record<string, readonly [weight: number, Fault]>>;

export function pick<T>(dice: Dice, list: readonly T[]): T {
  const [chosen] = list.slice(dice(list.length)).map((value) => ({ value }));
  if (chosen === undefined) throw new Error('nothing to pick from');
  return chosen.value;
}

/** Without a text the file goes. */
export async function writePolicy(world: World, path: string, text: string | undefined): Promise<void> {
  const file = join(world.routewall.policyFolder, path);
  if (text === undefined) await rm(file, { force: true });
  else await writeFile(file, text);
}

/** Whether the daemon says such a line while that happens, or within `patience` milliseconds afterwards. */
export async function says(
  { routewall: { daemon } }: World,
  pattern: RegExp,
  meanwhile: () => Promise<unknown>,
  patience = 0,
): Promise<boolean> {
  const before = daemon.log().length;
  const said = (): boolean => daemon.log().some((line, index) => index >= before && pattern.test(line));
  await meanwhile();
  for (const end = performance.now() + patience; !said() && performance.now() < end; )
    await new Promise((resolve) => setTimeout(resolve, 10));
  return said();
}
