/** Chaos on the host, while one container floods what is forbidden and streams what is allowed. */
import { expect, test } from 'vitest';
import { Broken, type Endured, endure } from './chaos.ts';
import { diceFrom } from './dice.ts';
import { randomStep, type Step } from './faults.ts';
import { shrink } from './shrink.ts';

/** `ATTACK_ONLY=startReal,stopReal ATTACK_STEPS=40000 npx vitest run --project attack` for ten thousand starts and stops. */
const SEED = Number(process.env['ATTACK_SEED'] ?? 20_260_607);
const STEPS = Number(process.env['ATTACK_STEPS'] ?? 150);
const ONLY = process.env['ATTACK_ONLY']?.split(',');
/** For finding the steps that matter, once something broke. */
const SHRINK_MS = 60_000 * Number(process.env['ATTACK_SHRINK_MINUTES'] ?? 1);

function* stepsFrom(seed: number): Generator<Step> {
  const dice = diceFrom(seed);
  for (let made = 0; made < STEPS; made += 1) yield randomStep(dice, ONLY);
}

async function tell(error: Broken): Promise<string> {
  const deadline = Date.now() + SHRINK_MS;
  const breaks = (steps: readonly Step[]): Promise<boolean> =>
    endure(steps).then(
      () => false,
      (cause: unknown) => cause instanceof Broken,
    );
  const shortest = await shrink(error.steps, breaks, () => Date.now() < deadline);
  const lines = shortest.map(({ fault, seed }) => `  ${fault} ${seed}`).join('\n');
  return `seed ${SEED}, ${error.steps.length} steps, of which these are enough:\n${lines}\n${error.message}`;
}

function report({ settled, sent, holdings }: Endured): string {
  const sorted = settled.toSorted((a, b) => a - b);
  const at = (part: number): string => `${Math.round(sorted[Math.floor((sorted.length - 1) * part)] ?? 0)} ms`;
  const [first, last] = [holdings.at(1), holdings.at(-1)];
  return [
    `${sent} allowed packets sent, none lost; settled after ${at(0.5)} (median), ${at(0.95)} (95 %), ${at(1)} (most)`,
    `files ${first?.files} → ${last?.files}, memory ${first?.megabytes} → ${last?.megabytes} MB`,
  ].join('; ');
}

test(
  'no packet leaks and none is lost, and the kernel ends as the files say, whatever happens to the host',
  async () => {
    const endured = await endure(stepsFrom(SEED)).catch(async (error: unknown) => {
      throw error instanceof Broken ? new Error(await tell(error), { cause: error }) : error;
    });
    console.log(report(endured));
    const [first, last] = [endured.holdings.at(1), endured.holdings.at(-1)];
    // One of each kind; some begin only when they are needed.
    const children = last?.children ?? [];
    expect(children.filter((command, at) => children.indexOf(command) !== at)).toEqual([]);
    expect(last?.files ?? 0).toBeLessThanOrEqual((first?.files ?? 0) + 10);
    expect(last?.megabytes ?? 0).toBeLessThanOrEqual(2 * (first?.megabytes ?? 0) + 50);
  },
  24 * 3_600_000,
);
