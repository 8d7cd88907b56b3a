/** What is in force after every kind of accident: full disks, crashes between any two steps, garbage, clocks that jump. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hostClock, timeLeft } from '../../../controller/revisions/due.ts';
import type { Due } from '../../../controller/revisions/journal.ts';
import type { Order } from '../../../controller/revisions/revisions.ts';
import { type Bed, makeBed, type Run } from './revisions-bed.ts';

let bed: Bed;
beforeEach(async () => {
  bed = await makeBed();
});
afterEach(() => bed.remove());

const [APPLY, CONFIRM, BACK]: Order[] = [
  { kind: 'apply', confirmSeconds: undefined, by: 'anne' },
  { kind: 'confirm' },
  { kind: 'rollback', to: undefined, by: 'anne' },
];
const trial: Order = { kind: 'apply', confirmSeconds: 60, by: 'anne' };

/** A and then B were applied; C is saved. */
async function prepare(): Promise<void> {
  const run = await bed.open();
  await run.pass('A');
  await run.pass('B', APPLY);
}

interface Accident {
  readonly order: Order | undefined;
  /** Before it, besides `prepare`. */
  readonly first?: (run: Run) => Promise<unknown>;
  /** What is in force before and after. */
  readonly before: string;
  readonly after: string;
}

const ACCIDENTS: readonly (readonly [string, Accident])[] = [
  ['apply', { order: APPLY, before: 'B', after: 'C' }],
  ['apply --confirm', { order: trial, before: 'B', after: 'C' }],
  ['confirm', { order: CONFIRM, first: (run) => run.pass('C', trial), before: 'C', after: 'C' }],
  ['rollback', { order: BACK, before: 'B', after: 'A' }],
  ['rollback of a trial', { order: BACK, first: (run) => run.pass('C', trial), before: 'C', after: 'B' }],
];

describe.each(ACCIDENTS)('%s', (_, { order, first, before, after }) => {
  async function begin(failing?: (step: number) => boolean): Promise<Run> {
    await bed.remove();
    await prepare();
    await (await bed.open()).pass('C');
    if (first !== undefined) await first(await bed.open());
    return await bed.open(failing);
  }

  async function stepsOf(): Promise<{ from: number; to: number }> {
    const run = await begin();
    const from = run.steps();
    expect(await run.pass('C', order)).toMatchObject({ inForce: after, refusal: undefined });
    return { from: from + 1, to: run.steps() };
  }

  test('a crash before any of its steps leaves what was, or what shall be', async () => {
    const { from, to } = await stepsOf();
    for (let step = from; step <= to + 1; step += 1) {
      const run = await begin((now) => now >= step);
      const { refusal } = await run.pass('C', order);
      const next = await bed.open();
      const { inForce } = await next.pass('C');
      expect([step, [before, after].includes(inForce ?? '')]).toEqual([step, true]);
      // Going back on a trial isn't refused where the disk is; what was written of it ends with the trial's time.
      if (refusal === undefined && first === undefined) expect([step, inForce]).toEqual([step, after]);
      // Nothing that nobody confirmed stays.
      bed.clock.now += 61_000;
      bed.clock.uptime += 61;
      const late = await next.pass('C');
      // Who gets no answer to a confirmation doesn't know whether it came in time.
      const isTrial = order === trial || (first !== undefined && order !== CONFIRM);
      if (isTrial) expect([step, late.inForce]).toEqual([step, 'B']);
    }
  });

  test('a disk that is full at any step changes nothing, is told, and the next try does it', async () => {
    const { from, to } = await stepsOf();
    for (let step = from; step <= to; step += 1) {
      let isFull = true;
      const run = await begin((now) => isFull && now >= step);
      const { inForce, refusal } = await run.pass('C', order);
      const told = [refusal?.message ?? '', ...bed.said].join('\n');
      // What only tidies up or adds to the record may fail when it is in force; going back is never refused.
      expect([step, inForce]).toEqual([step, refusal === undefined ? after : before]);
      expect([step, told]).toEqual([step, expect.stringContaining('ENOSPC')]);
      isFull = false;
      const again = await run.pass('C', refusal === undefined ? undefined : order);
      expect(again).toMatchObject({ inForce: after, refusal: undefined });
      // And a restart says the same.
      expect([step, (await (await bed.open()).pass('C')).inForce]).toEqual([step, after]);
    }
  });
});

describe('a damaged journal', () => {
  const file = (): string => join(bed.folder, 'revisions', 'journal.json');

  test.each([
    '',
    '{',
    'null',
    '[]',
    '{}',
    '{"inForce":"2"}',
    '{"inForce":1,"refused":null}',
    '{"inForce":null,"refused":null,"unconfirmed":null}',
    '{"inForce":7,"refused":null,"unconfirmed":null}',
    '\0\0\0',
  ])('%j leaves the newest whole revision in force, and is told', async (text) => {
    await prepare();
    await writeFile(file(), text);
    const run = await bed.open();
    expect((await run.pass('C')).inForce).toBe('B');
    if (text !== '{}') expect(bed.said.join()).toMatch(/journal|revision 7|names no/);
    // And whoever wants the files applies them.
    expect(await run.pass('C', APPLY)).toMatchObject({ inForce: 'C', refusal: undefined });
    expect((await (await bed.open()).pass('C')).inForce).toBe('C');
  });

  test('is the same wherever it is cut, with a trial in it: what nobody confirmed does not stay', async () => {
    await prepare();
    await (await bed.open()).pass('C', trial);
    const whole = await readFile(file(), 'utf8');
    for (let length = 0; length < whole.length - 2; length += 7) {
      await writeFile(file(), whole.slice(0, length));
      expect([length, (await (await bed.open()).pass('C')).inForce]).toEqual([length, 'B']);
    }
    await rm(file());
    expect((await (await bed.open()).pass('C')).inForce).toBe('B');
  });
});

describe('a damaged revision', () => {
  const inRevision = (number: number, path: string): string => join(bed.folder, 'revisions', String(number), path);

  test.each([
    ['its record', 'revision.json', '{"number": 2'],
    ['its text', 'policies/containers/web.yaml', 'D'],
  ])('in %s is never enforced: the one before it is, and history goes on', async (_, path, text) => {
    await prepare();
    await rm(inRevision(2, path));
    await writeFile(inRevision(2, path), text);
    const run = await bed.open();
    expect((await run.pass('C')).inForce).toBe('A');
    expect(bed.said.join()).toContain('revision 2');
    const refused = await run.pass('C', { kind: 'rollback', to: 2, by: 'anne' });
    expect(refused.refusal?.message).toContain('revision 2');
    expect(await run.pass('C', APPLY)).toMatchObject({ inForce: 'C', refusal: undefined });
  });

  test('where none is whole nothing passes, until the files are applied', async () => {
    await prepare();
    for (const number of [1, 2]) await writeFile(inRevision(number, 'revision.json'), '');
    const run = await bed.open();
    expect(await run.pass('C')).toMatchObject({ isLost: true, inForce: undefined });
    // The next run knows it too.
    expect(await (await bed.open()).pass('C')).toMatchObject({ isLost: true, inForce: undefined });
    expect(await run.pass('C', APPLY)).toMatchObject({ isLost: false, inForce: 'C' });
  });
});

describe('what is left of the time', () => {
  const due: Due = { at: '2026-01-02T03:05:05.000Z', seconds: 60, boot: 'one', uptime: 1060 };
  const at = (now: string, uptime: number, boot: string) => ({
    ...{ now: () => Date.parse(now), uptime: () => uptime, boot: () => boot },
  });

  test.each([
    ['within one boot the uptime tells it', at('2031-01-01T00:00:00Z', 1010, 'one'), 50_000],
    ['and is over when it is over', at('2020-01-01T00:00:00Z', 1061, 'one'), -1_000],
    ['after a boot the clock tells it', at('2026-01-02T03:04:45Z', 5, 'two'), 20_000],
    ['a clock that went back grants nothing', at('2020-01-01T00:00:00Z', 5, 'two'), 0],
    ['nor does a boot that nobody can tell apart', at('2020-01-01T00:00:00Z', 1010, ''), 0],
  ])('%s', (_, clock, left) => {
    expect(timeLeft(due, clock)).toBe(left);
  });

  test('a moment that is no date is over', () => {
    expect(timeLeft({ ...due, at: 'soon' }, hostClock)).toBe(0);
  });
});

test('a disk that takes nothing at the start keeps nobody from what is in force', async () => {
  await prepare();
  await mkdir(join(bed.folder, 'revisions', '9.new', 'policies'), { recursive: true });
  const run = await bed.open(() => true);
  expect(bed.said.join('\n')).toMatch(/ENOSPC.*what a crash left unfinished stays/);
  expect(await run.pass('C')).toMatchObject({ inForce: 'B' });
});
