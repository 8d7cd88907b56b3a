/** Connections that the kernel tracks, as its reader prints them, and what is done about them. */
import { describe, expect, it } from 'vitest';
import { createConntrackCleaner } from '../../../controller/connections/conntrack.ts';
import { parseTrackedFlow, type TrackedFlow, trackedFlows } from '../../../controller/connections/tracked-flows.ts';
import { type Prefix, parsePrefix } from '../../../render/address.ts';
import { eventually } from '../../../sandbox/eventually.ts';

const prefix = (text: string): Prefix => parsePrefix(text) ?? expect.fail(`${text} is a prefix`);

describe('a line of the reader', () => {
  it.each([
    [
      '4 17 203.0.113.80 198.51.100.10 80 - 0234',
      { family: 4, source: '203.0.113.80', destination: '198.51.100.10', protocol: 17, port: 80, handle: '0234' },
    ],
    [
      '6 58 2001:db8::10 2001:db8:ffff::80 - 128 0a34',
      {
        family: 6,
        source: '2001:db8::10',
        destination: '2001:db8:ffff::80',
        protocol: 58,
        icmpType: 128,
        handle: '0a34',
      },
    ],
    [
      '4 47 198.51.100.10 203.0.113.80 - - 0234',
      { family: 4, source: '198.51.100.10', destination: '203.0.113.80', protocol: 47, handle: '0234' },
    ],
    [
      '4 17 203.0.113.80 198.51.100.10 80 - 0234 shut',
      {
        family: 4,
        source: '203.0.113.80',
        destination: '198.51.100.10',
        protocol: 17,
        port: 80,
        handle: '0234',
        isShut: true,
      },
    ],
  ])('%s is a flow', (line, flow) => {
    expect(parseTrackedFlow(line)).toEqual(flow);
  });

  it.each(['', '4 6 198.51.100.10', '4 6 no address 1 2 3'])('%j is none', (line) => {
    expect(() => parseTrackedFlow(line)).toThrow(`conntrack: unknown line "${line}"`);
  });
});

const LINES = Array.from({ length: 1000 }, () => '4 17 203.0.113.80 198.51.100.10 80 - 0234');

it.each([
  ['as a stream of a long table', 'many\n', [LINES]],
  ['in one answer of a short one', LINES.map((line) => `${line}\n`).join(''), []],
])('gives others a turn between some entries, however many come at once: %s', async (_, stdout, streamed) => {
  const flows = trackedFlows(
    async () => ({ stdout, stderr: '', exitCode: 0 }),
    async function* () {
      yield* streamed;
    },
  );
  let turns = 0;
  const timer = setInterval(() => {
    turns += 1;
  }, 0);
  const lists: (readonly TrackedFlow[])[] = [];
  for await (const list of flows.read([prefix('198.51.100.10/32')])) {
    lists.push(list);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  clearInterval(timer);
  expect(lists.map((list) => list.length)).toEqual(Array.from({ length: 10 }, () => 100));
  expect(turns).toBeGreaterThanOrEqual(5);
});

describe('addresses that are gone', () => {
  const A = { key: '/lxc/a/0', prefix: prefix('198.51.100.10/32') };
  const B = { key: '/lxc/b/0', prefix: prefix('198.51.100.20/32') };

  function start(isBack = (_: unknown): boolean => false) {
    const forgotten: string[] = [];
    const logged: string[] = [];
    let release: () => void = () => undefined;
    let failure: Error | undefined;
    const flows = {
      forget: async (prefixes: readonly Prefix[]): Promise<number> => {
        await new Promise<void>((resolve) => {
          release = resolve;
        });
        if (failure !== undefined) throw failure;
        forgotten.push(prefixes.join(' '));
        return 0;
      },
    };
    const cleaner = createConntrackCleaner(flows, (level, text) => void logged.push(`${level}: ${text}`), isBack);
    const step = async (): Promise<void> => {
      release();
      await new Promise((resolve) => setImmediate(resolve));
    };
    const fail = (cause: Error | undefined): void => {
      failure = cause;
    };
    return { cleaner, forgotten, logged, step, fail };
  }

  it('are forgotten together, those that come meanwhile afterwards', async () => {
    const { cleaner, forgotten, step } = start();
    cleaner.forget([A]);
    cleaner.forget([B]);
    await step();
    await step();
    await cleaner.idle();
    expect(forgotten).toEqual([A.prefix, B.prefix]);
  });

  it('stay where the same interface has them again', async () => {
    const { cleaner, forgotten, step } = start((former) => former === A);
    cleaner.forget([A, B]);
    await step();
    await cleaner.idle();
    expect(forgotten).toEqual([B.prefix]);
  });

  it('are free for another only when all that was at work is done', async () => {
    const { cleaner, forgotten, step } = start();
    cleaner.forget([A]);
    expect(cleaner.waiting).toEqual([A]);
    let isFree = false;
    const released = cleaner.release([A.prefix]).then(() => {
      isFree = true;
    });
    await step();
    expect([isFree, forgotten.length]).toEqual([false, 1]);
    await step();
    await released;
    expect([isFree, forgotten.length, cleaner.waiting]).toEqual([true, 2, []]);
  });

  it('that cannot be forgotten are told, hold up nobody, and are tried again', async () => {
    const { cleaner, forgotten, logged, step, fail } = start();
    fail(new Error('netlink: Operation not permitted'));
    cleaner.forget([A]);
    for (const _try of [1, 2, 3]) {
      expect(logged).toEqual([]);
      await step();
    }
    await cleaner.idle();
    expect(logged).toEqual([
      "warning: tracked connections of 198.51.100.10/32 can't be forgotten: netlink: Operation not permitted; trying again in 250 ms",
    ]);
    // Another that is to have the address waits for it still.
    expect(cleaner.waiting).toEqual([A]);
    fail(undefined);
    await eventually('they are forgotten', async () => {
      await step();
      return forgotten.length > 0;
    });
    await cleaner.idle();
    expect([forgotten, cleaner.waiting]).toEqual([[A.prefix], []]);
  });

  it('that another gets after they could not be forgotten are not forgotten once more', async () => {
    const { cleaner, forgotten, step, fail } = start();
    fail(new Error('netlink: Operation not permitted'));
    cleaner.forget([A]);
    const released = cleaner.release([A.prefix]);
    for (const _try of [1, 2, 3]) await step();
    fail(undefined);
    await step();
    await released;
    expect([forgotten, cleaner.waiting]).toEqual([[A.prefix], []]);
  });
});
