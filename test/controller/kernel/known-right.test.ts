/** A comparison is spared only while the kernel's mark is the one under which the same state was found right. */
import { expect, test } from 'vitest';
import type { KernelComparison } from '../../../controller/kernel/kernel-comparison.ts';
import { KnownRight } from '../../../controller/kernel/known-right.ts';
import type { DesiredState } from '../../../render/desired.ts';
import { nicOf, stateOf } from '../states.ts';

const STATE = stateOf(nicOf(1, 81));

interface Bed {
  readonly right: KnownRight;
  /** What the kernel tells from now on. */
  mark: string | undefined;
  proven: string | undefined;
  readonly found: { changed: boolean; backend: KernelComparison['backend'] };
  /** @returns whether the kernel was listed. */
  ask(desired?: DesiredState, whileListing?: () => void): Promise<boolean>;
}

function open(): Bed {
  const bed: Bed = {
    right: new KnownRight({
      mark: async () => bed.mark,
      isProven: async (desired, mark) => desired === STATE && mark === bed.proven,
    }),
    mark: 'a',
    proven: undefined,
    found: { changed: false, backend: 'nftables' },
    ask: async (desired = STATE, whileListing = () => undefined) => {
      const comparison = { ...bed.found } as KernelComparison;
      const answer = await bed.right.compare(desired, async () => {
        whileListing();
        return comparison;
      });
      expect([undefined, comparison]).toContain(answer);
      // The mark behind it is read for nobody who waits.
      await new Promise(setImmediate);
      return answer !== undefined;
    },
  };
  return bed;
}

test('nothing is listed twice while nothing changes', async () => {
  const bed = open();
  expect([await bed.ask(), await bed.ask(), await bed.ask()]).toEqual([true, false, false]);
});

test('another mark, another state and no mark are another comparison', async () => {
  const bed = open();
  await bed.ask();
  expect(await bed.ask({ ...STATE })).toBe(true);
  expect(await bed.ask()).toBe(true);
  bed.mark = 'b';
  expect(await bed.ask()).toBe(true);
  bed.mark = undefined;
  expect([await bed.ask(), await bed.ask()]).toEqual([true, true]);
});

test('what changed while it was listed proves nothing', async () => {
  const bed = open();
  const change = (): void => {
    bed.mark = 'b';
  };
  expect(await bed.ask(STATE, change)).toBe(true);
  expect(await bed.ask()).toBe(true);
  bed.mark = 'a';
  expect(await bed.ask()).toBe(true);
});

test.each([
  { changed: true, backend: 'nftables' as const },
  { changed: false, backend: 'iptables-nft' as const },
])('nothing is remembered of %j', async (found) => {
  const bed = open();
  Object.assign(bed.found, found);
  expect([await bed.ask(), await bed.ask()]).toEqual([true, true]);
});

test('nor where uplinks have tables of their own', async () => {
  const bed = open();
  const state = { ...STATE, host: { ...STATE.host, uplinkTables: [] as never } };
  expect([await bed.ask(state), await bed.ask(state)]).toEqual([true, true]);
});

test("the daemon's own proof counts by the mark of this moment", async () => {
  const bed = open();
  bed.proven = 'a';
  expect(await bed.ask()).toBe(false);
  bed.mark = 'b';
  expect(await bed.ask()).toBe(true);
});
