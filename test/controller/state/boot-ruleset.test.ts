/** How the rules for the next boot get onto the disk while others have their turn; that they load is tried on real kernels. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { BootFormat } from '../../../controller/state/boot-format.ts';
import { BootRuleset } from '../../../controller/state/boot-ruleset.ts';
import type { DesiredState } from '../../../render/desired.ts';
import type { Pieces } from '../../../render/pieces.ts';
import { nicOf, stateOf } from '../states.ts';

const PIECES = 20;
const DROP = 'add rule inet routewall_panic forward drop';

let folder: string;
let complaints: string[];
/** Of a rendering: made so far, and in all. */
let pieces: number;
let most: number;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'routewall-boot-'));
  complaints = [];
  pieces = 0;
  most = PIECES;
});
afterEach(async () => {
  vi.useRealTimers();
  await rm(folder, { recursive: true });
});

/** In pieces, each of which takes longer than one turn. */
const slow = (name: BootFormat['name'] = 'last-good.nft'): BootFormat => ({
  name,
  *render(state): Pieces<string> {
    for (pieces = 0; pieces < most; pieces++) {
      const begin = performance.now();
      while (performance.now() - begin < 5);
      yield;
    }
    return `rules for ${[...state.nics.values()].map(({ container }) => container).join(' ')}\n`;
  },
  seal: () => [DROP],
});

const open = (format = slow(), delayMs = 1e6): BootRuleset =>
  new BootRuleset(folder, (_, text) => complaints.push(text), format, delayMs);
const written = (name: BootFormat['name'] = 'last-good.nft'): Promise<string> => readFile(join(folder, name), 'utf8');
const one: DesiredState = stateOf(nicOf(1, 80));
const two: DesiredState = stateOf(nicOf(1, 80), nicOf(2, 80));

async function untilHalf(): Promise<void> {
  while (pieces < PIECES / 2) await setImmediate();
}

it('renders while others have their turn', async () => {
  const boot = open();
  boot.keep(one);
  const seen = new Set<number>();
  const done = boot.flush().then(() => 'done');
  while ((await Promise.race([done, setImmediate('going')])) !== 'done') {
    seen.add(pieces);
    // However long it takes: nobody is to look after a disk for that.
    expect(boot.isRefused).toBe(false);
  }
  expect(seen.size).toBeGreaterThan(PIECES / 2);
  expect(await written()).toBe('rules for c1\n');
});

it('has what came meanwhile once that is to be written', async () => {
  const boot = open();
  boot.keep(one);
  const first = boot.flush();
  await untilHalf();
  boot.keep(two);
  await Promise.all([first, boot.flush()]);
  expect(await written()).toBe('rules for c1 c2\n');
});

it('comes so seldom that it takes a hundredth of the time, also where a change comes while it is rendered', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const boot = open(slow(), 1);
  boot.keep(one);
  await boot.flush();
  boot.keep(two);
  const second = boot.flush();
  while (pieces === PIECES) await setImmediate();
  boot.keep(one);
  await second;
  // A rendering has taken a tenth of a second and more.
  vi.advanceTimersByTime(5_000);
  await setImmediate();
  expect(pieces).toBe(PIECES);
  vi.advanceTimersByTime(600_000);
  await setImmediate();
  expect(pieces).toBeLessThan(PIECES);
  await boot.flush();
  expect(await written()).toBe('rules for c1\n');
});

it('keeps no panic waiting, and loses none', async () => {
  await writeFile(join(folder, 'last-good.nft'), 'rules of yesterday\n');
  const boot = open();
  boot.keep(one);
  const done = boot.flush();
  // Five seconds of it.
  most = 1000;
  await untilHalf();
  await boot.keepPanic([DROP]);
  expect(await written()).toBe(`rules of yesterday\n\n# panic\n${DROP}\n`);
  most = 0;
  await done;
  expect(await written()).toBe(`rules for c1\n\n# panic\n${DROP}\n`);
  await boot.keepPanic([]);
  expect(await written()).toBe('rules for c1\n');
});

it('gives nobody a turn once the host goes down', async () => {
  const boot = open();
  boot.keep(one);
  void boot.flush();
  await untilHalf();
  boot.keep(two);
  let turns = 0;
  const frozen = boot.freeze().then(() => 'frozen');
  // The disk's answers take a few.
  while ((await Promise.race([frozen, setImmediate('going')])) !== 'frozen') turns += Number(pieces < PIECES);
  expect(turns).toBeLessThanOrEqual(1);
  expect(await written()).toBe('rules for c1 c2\n');
});

it('writes nothing for a backend that serves no more', async () => {
  const boot = open();
  boot.keep(one);
  const done = boot.flush();
  await untilHalf();
  boot.use(slow('last-good.iptables'));
  await done;
  expect(await readdir(folder)).toEqual([]);
  boot.keep(two);
  await boot.flush();
  expect(await readdir(folder)).toEqual(['last-good.iptables']);
  expect(await written('last-good.iptables')).toBe('rules for c1 c2\n');
  expect(complaints).toEqual([]);
});

it('comes again with the next pass where it could not be written', async () => {
  const boot = new BootRuleset(join(folder, 'away'), (_, text) => complaints.push(text), slow());
  for (const _try of [1, 2]) {
    boot.keep(one);
    await boot.flush();
  }
  expect(complaints).toEqual([expect.stringContaining("can't be written")]);
  expect(boot.isRefused).toBe(true);
});
