/** Faults one after the other, and after every few of them: is everything as it must be? */
import { cleanUp } from '../../sandbox/clean-up.ts';
import { checkTraffic, settle } from './checks.ts';
import { diceFrom } from './dice.ts';
import { inflict, type Step } from './faults.ts';
import { type Holdings, holdingsOf } from './processes.ts';
import { makeWorld, type World } from './world.ts';

export interface Endured {
  /** Milliseconds from the last fault until the kernel held what it must, for each look. */
  readonly settled: readonly number[];
  readonly sent: number;
  /** How often each fault came, and how often it changed anything. */
  readonly bites: ReadonlyMap<string, Bites>;
  /** What was lost or leaked, and why it may have been. */
  readonly excused: readonly string[];
  readonly holdings: readonly Holdings[];
}

export interface Bites {
  readonly times: number;
  readonly bit: number;
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

const LOOK_EVERY = 12;

export interface EndureOptions {
  /** A module that breaks the daemon on purpose. */
  readonly brokenBy?: string;
  /** Milliseconds for everything to be as it must. */
  readonly patience?: number;
}

/** Makes a world of its own and takes it away again. @throws Broken */
export async function endure(steps: Iterable<Step>, options: EndureOptions = {}): Promise<Endured> {
  const done: Step[] = [];
  const settled: number[] = [];
  const holdings: Holdings[] = [];
  const bites = new Map<string, Bites>();
  try {
    const world = await makeWorld({ preload: options.brokenBy });
    try {
      const look = async (): Promise<void> => {
        settled.push(await settle(world, options.patience));
        holdings.push(holdingsOf(world.routewall.daemon.child().pid));
      };
      await look();
      for (const step of steps) {
        done.push(step);
        const bit = await inflict(world, step, diceFrom(step.seed));
        const before = bites.get(step.fault) ?? { times: 0, bit: 0 };
        bites.set(step.fault, { times: before.times + 1, bit: before.bit + (bit ? 1 : 0) });
        if (done.length % LOOK_EVERY === 0) await look();
      }
      await look();
      await world.traffic.fates();
      checkTraffic(world);
    } catch (cause) {
      throw broken(world, cause instanceof Error ? cause.message : String(cause), done);
    }
    return { settled, sent: world.traffic.sent(), excused: world.traffic.excused(), holdings, bites };
  } finally {
    await cleanUp();
  }
}

function broken({ routewall }: World, what: string, done: readonly Step[]): Broken {
  const words = routewall.daemon.log().filter((line) => !/ repaired: add /.test(line));
  const children = holdingsOf(routewall.daemon.child().pid)
    .children.map((command) => command.slice(0, 60).replaceAll('\n', ' '))
    .join(', ');
  const told = `its children: ${children}\nits last words:\n${words.slice(-25).join('\n')}`;
  return new Broken(`${what}\nthe daemon, ${told}`, [...done]);
}
