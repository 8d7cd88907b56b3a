/** Faults one after the other, and after every few of them: is everything as it must be? */
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { fieldOf } from '../../sandbox/json.ts';
import { containerState, expectedState, readForeign, readOwnState } from '../lxc/kernel-state.ts';
import { diceFrom } from './dice.ts';
import { inflict, type Step } from './faults.ts';
import { type Holdings, holdingsOf } from './processes.ts';
import { expectedOf, makeWorld, type World } from './world.ts';

export interface Endured {
  /** Milliseconds from the last fault until the kernel held what it must, for each look. */
  readonly settled: readonly number[];
  readonly sent: number;
  readonly holdings: readonly Holdings[];
}

/** A promise of routewall's that was broken; with the steps that led there. */
export class Broken extends Error {
  override readonly name = 'Broken';
  readonly steps: readonly Step[];

  constructor(what: string, steps: readonly Step[]) {
    super(what);
    this.steps = steps;
  }
}

const LOOK_EVERY = 8;
const PATIENCE_MS = 15_000;

/** Makes a world of its own and takes it away again. @throws Broken */
export async function endure(steps: Iterable<Step>): Promise<Endured> {
  const done: Step[] = [];
  const settled: number[] = [];
  const holdings: Holdings[] = [];
  try {
    const world = await makeWorld();
    const look = async (): Promise<void> => {
      settled.push(await settle(world, done));
      holdings.push(holdingsOf(world.routewall.daemon.child().pid));
    };
    await look();
    for (const step of steps) {
      done.push(step);
      await inflict(world, step, diceFrom(step.seed)).catch((cause: unknown) => {
        throw broken(world, `${step.fault}: ${String(cause)}`, done);
      });
      if (done.length % LOOK_EVERY === 0) await look();
    }
    await look();
    // The last packets' fate is known after a second.
    await eventually('the stream goes on', () => world.traffic.sent() > 0);
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    checkTraffic(world, done);
    return { settled, sent: world.traffic.sent(), holdings };
  } finally {
    await cleanUp();
  }
}

/** @returns the milliseconds that it took. @throws Broken when it never does. */
async function settle(world: World, done: readonly Step[]): Promise<number> {
  const begin = performance.now();
  const { bed } = world.routewall;
  const wanted = JSON.stringify(expectedState(await expectedOf(world)));
  let found = '';
  const isRight = async (): Promise<boolean> => {
    found = JSON.stringify(containerState(await readOwnState(bed.host)));
    return found === wanted;
  };
  await eventually('the state', isRight, PATIENCE_MS).catch(() => {
    throw broken(world, `the kernel holds\n${found}\nand should hold\n${wanted}`, done);
  });
  const took = performance.now() - begin;
  // The rules themselves, by routewall's own comparison of files and kernel.
  await eventually('no difference', async () => await isInForce(world), PATIENCE_MS).catch((cause: unknown) => {
    throw broken(world, `files and kernel differ: ${String(cause)}`, done);
  });
  const foreign = await readForeign(bed.host);
  if (foreign !== world.foreign)
    throw broken(world, `foreign state changed:\n${firstDifference(world.foreign, foreign)}`, done);
  checkTraffic(world, done);
  return took;
}

async function isInForce({ routewall }: World): Promise<boolean> {
  const { stdout, stderr } = await routewall.cli('preview', '--json');
  if (stdout === '') throw new Error(stderr);
  return fieldOf(JSON.parse(stdout), 'changed') === false;
}

function checkTraffic(world: World, done: readonly Step[]): void {
  const mishaps = world.traffic.unexcused();
  const [first] = mishaps;
  if (first !== undefined) throw broken(world, `${mishaps.length} packets ${first.kind}: ${first.text}`, done);
}

function firstDifference(before: string, after: string): string {
  const [a, b] = [before.split('\n'), after.split('\n')];
  const at = a.findIndex((line, index) => line !== b[index]);
  return `- ${a.slice(at, at + 3).join('\n- ')}\n+ ${b.slice(at, at + 3).join('\n+ ')}`;
}

function broken({ routewall }: World, what: string, done: readonly Step[]): Broken {
  const words = routewall.daemon.log().filter((line) => !/ repaired: add /.test(line));
  return new Broken(`${what}\nthe daemon's last words:\n${words.slice(-25).join('\n')}`, [...done]);
}
