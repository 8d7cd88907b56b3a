/** Chaos on the host, while one container floods what is forbidden and streams what is allowed. */
import { expect, test } from 'vitest';
import { Broken, type Endured, endure } from './chaos.ts';
import { diceFrom } from './dice.ts';
import { parseSteps, randomStep, type Step } from './faults.ts';
import { surplusOf } from './processes.ts';
import { tellBroken } from './tell-broken.ts';

/** `ATTACK_ONLY=clockJumps,start ATTACK_STEPS=40` for some kinds of faults alone. */
const SEED = Number(process.env['ATTACK_SEED'] ?? 20_260_607);
const STEPS = Number(process.env['ATTACK_STEPS'] ?? 200);
const ONLY = process.env['ATTACK_ONLY']?.split(',');
/** `startReal 5,killMonitor 7`: these steps, as a failure prints them. */
const CASE = process.env['ATTACK_CASE'];
/** For finding the steps that matter, once something broke. */
const SHRINK_MS = 60_000 * Number(process.env['ATTACK_SHRINK_MINUTES'] ?? 1);

function* stepsFrom(seed: number): Generator<Step> {
  if (CASE !== undefined) {
    yield* parseSteps(CASE);
    return;
  }
  const dice = diceFrom(seed);
  for (let made = 0; made < STEPS; made += 1) yield randomStep(dice, ONLY);
}

const breaks = (steps: readonly Step[]): Promise<boolean> =>
  endure(steps).then(
    () => false,
    (cause: unknown) => cause instanceof Broken,
  );

async function tell(error: Broken): Promise<string> {
  const deadline = Date.now() + SHRINK_MS;
  return await tellBroken(SEED, error, breaks, () => Date.now() < deadline);
}

const timesOf = ({ bites }: Endured): string =>
  [...bites]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([fault, { times, bit }]) => `${fault} ${bit}/${times}`)
    .join(', ');

function report(endured: Endured): string {
  const { settled, sent, holdings, excused } = endured;
  const sorted = settled.toSorted((a, b) => a - b);
  const at = (part: number): string => `${Math.round(sorted[Math.floor((sorted.length - 1) * part)] ?? 0)} ms`;
  const [first, last] = [holdings.at(1), holdings.at(-1)];
  return [
    `${sent} allowed packets sent, none lost without a reason (${excused.join(', ')})`,
    `faults that changed something, of all: ${timesOf(endured)}`,
    `settled after ${at(0.5)} (median), ${at(0.95)} (95 %), ${at(1)} (most)`,
    `files ${first?.files} → ${last?.files}, memory ${first?.megabytes} → ${last?.megabytes} MB`,
  ].join('\n');
}

test(
  'no packet leaks and none is lost, and the kernel ends as the files say, whatever happens to the host',
  async () => {
    const endured = await endure(stepsFrom(SEED)).catch(async (error: unknown) => {
      throw error instanceof Broken ? new Error(await tell(error), { cause: error }) : error;
    });
    console.log(report(endured));
    // A fault that never changes anything is none.
    const idle = [...endured.bites].filter(([, { times, bit }]) => bit === 0 && times >= 3);
    expect(idle.map(([fault]) => fault)).toEqual([]);
    const [first, last] = [endured.holdings.at(1), endured.holdings.at(-1)];
    expect(last === undefined ? 'never looked' : surplusOf(last)).toEqual([]);
    expect(last?.files ?? 0).toBeLessThanOrEqual((first?.files ?? 0) + 10);
    expect(last?.megabytes ?? 0).toBeLessThanOrEqual(2 * (first?.megabytes ?? 0) + 50);
  },
  24 * 3_600_000,
);
