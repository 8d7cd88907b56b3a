/** What a failure says: the seed, and the steps that are enough for it. */
import type { Broken } from './chaos.ts';
import type { Step } from './faults.ts';
import { shrink } from './shrink.ts';

/** `hasTime`: for finding the steps that matter. */
export async function tellBroken(
  seed: number,
  { steps, message }: Broken,
  breaks: (steps: readonly Step[]) => Promise<boolean>,
  hasTime: () => boolean,
): Promise<string> {
  const shortest = await shrink(steps, breaks, hasTime);
  const isShorter = shortest.length < steps.length;
  const what = isShorter ? 'of which these are enough' : 'of which none could be left out, or there was no time to try';
  const lines = shortest.map(({ fault, seed: own }) => `  ${fault} ${own}`).join('\n');
  const again = isShorter ? `ATTACK_CASE='${shortest.map(({ fault, seed: own }) => `${fault} ${own}`).join(',')}'` : '';
  return `seed ${seed}, ${steps.length} steps, ${what}:\n${lines}\n${again}\n${message}`;
}
