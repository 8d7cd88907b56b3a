/** A look at the kernel beside passes finds whatever differs, and takes no container for a difference that comes or goes meanwhile. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Applier } from '../../controller/apply/apply.ts';
import type { Run } from '../../controller/commands/run.ts';
import type { DesiredState, NicState } from '../../render/desired.ts';
import { parseMac } from '../../render/mac.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Namespace } from '../../sandbox/namespace.ts';
import { certain, nicOf, stateOf, veth } from '../controller/states.ts';
import { openApplier, requestOf } from './applier-bed.ts';

let host: Namespace;
let applier: Applier;
/** What happens before the command with that text begins, or behind it; each once. */
const before = new Map<string, () => Promise<unknown>>();
const behind = new Map<string, () => Promise<unknown>>();
/** What a command with that text tells instead. */
const retold = new Map<string, (stdout: string) => string>();
let count = 0;

const [one, two, three] = [nicOf(1, 81), nicOf(2, 82), nicOf(3, 83)];
const state = stateOf(one, two);
const more = stateOf(one, two, three);
/** What the third one has of its own goes to another port. */
const other = stateOf(one, two, nicOf(3, 84));

const bridge = veth('br0');

const onBridge = (nic: NicState, isApart: boolean): NicState => ({
  ...{ ...nic, routes: [], gateways: [] },
  port: { bridge, mac: certain(parseMac('02:16:3e:00:00:01')), isLeased: false, isApart },
});

const bridgedHost = { ...state.host, bridges: { bridges: [{ name: bridge }], elsewhere: [] } };

const onHostWithBridge = (...nics: readonly NicState[]): DesiredState => ({ ...stateOf(...nics), host: bridgedHost });

const happens = async (all: Map<string, () => Promise<unknown>>, command: string): Promise<void> => {
  for (const [text, act] of all) if (command.includes(text) && all.delete(text)) await act();
};

const bring = (to: DesiredState): Promise<unknown> => applier.apply(requestOf(to));
const change = (script: string): Promise<unknown> => host.run('sh', ['-c', script]);

const isRight = (desired = state): Promise<boolean> =>
  applier.isRight(desired, {
    ...{ lxcProxies: () => [], areLinksKnown: () => true },
    ...{ turn: async () => undefined, idle: async () => undefined },
  });

beforeEach(async () => {
  before.clear();
  behind.clear();
  retold.clear();
  const acting =
    (inside: Run): Run =>
    async (command, args, options) => {
      count++;
      const words = [command, ...args].join(' ');
      await happens(before, words);
      const result = await inside(command, args, options);
      await happens(behind, words);
      const [, retell] = [...retold].find(([text]) => words.includes(text)) ?? [];
      return retell === undefined ? result : { ...result, stdout: retell(result.stdout) };
    };
  ({ host, applier } = await openApplier(acting));
  await change(
    'for n in 1 3; do ip link add veth$n up type veth peer name veth$((n + 1)); ip link set veth$((n + 1)) up; done',
  );
  await applier.resync(requestOf(state));
});
afterEach(cleanUp);

it('finds nothing where all is right, which proves it for the next resync', async () => {
  await applier.proof.lookAhead({ folders: [], trees: [], paths: [] });
  expect(await isRight()).toBe(true);
  const desired = state;
  for (let round = 0; round < 50; round++) {
    await applier.proof.look();
    count = 0;
    await applier.resync(requestOf(desired));
    if (count === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect.unreachable('it proves nothing');
});

const DRIFT = [
  'nft flush chain inet routewall forward_from',
  'nft delete table arp routewall',
  'nft delete element inet routewall veths { "veth1" }',
  'nft add element inet routewall veths { "veth9" }',
  'nft add chain inet routewall egress_0123456789abcdef',
  'ip route del 198.51.100.1 dev veth1',
  'ip route add 198.51.100.9 dev veth1 proto 119 metric 4096',
  'ip neighbour add proxy 198.51.100.9 dev veth1 protocol 119',
  'ip address del 169.254.0.1/32 dev veth2',
];

it.each(DRIFT)('finds `%s`', async (drift) => {
  await change(drift);
  expect(await isRight()).toBe(false);
});

/** A start finds by itself that a whole table is gone. */
const UNSEEN = DRIFT.filter((drift) => !drift.includes('delete table'));

it.each(UNSEEN)('finds `%s` while another container starts and stops', async (drift) => {
  await change(drift);
  before.set('list table inet', () => bring(more));
  before.set('link show', () => bring(state));
  expect(await isRight()).toBe(false);
});

/** A start, a stop, a change and a start under the same name, at each point of a look. */
const POINTS = ['list table inet', 'list table arp', 'unshare', 'route show 4', 'neigh show proxy', 'link show'];
const CHANGES: readonly (readonly [string, DesiredState, readonly DesiredState[]])[] = [
  ['starts', state, [more]],
  ['stops', more, [state]],
  ['starts and stops', state, [more, state]],
  ['stops and starts', more, [state, more]],
  ['gets other rules', more, [other]],
  ['gets other rules and stops', more, [other, state]],
];

it.each(CHANGES)('takes a container that %s at any point for no difference', async (_what, from, to) => {
  for (const point of POINTS)
    for (const when of [before, behind]) {
      await bring(from);
      when.set(point, async () => {
        for (const next of to) await bring(next);
      });
      expect(await isRight(from), point).toBe(true);
      expect(when.size, `${point} doesn't come`).toBe(0);
    }
});

it.each([
  ['went meanwhile', 'if4023', true],
  ['is there', 'veth2', false],
] as const)(
  'takes the route of a container that stops, over an interface that %s, for what it is',
  async (_, dev, expected) => {
    await bring(more);
    retold.set('route show 4', (stdout) => stdout.replaceAll('"dev":"veth3"', `"dev":"${dev}"`));
    behind.set('route show 4', () => bring(state));
    expect(await isRight(more)).toBe(expected);
    expect(behind.size).toBe(0);
  },
);

it('takes one that starts at one point and stops at another for no difference', async () => {
  for (const [index, start] of POINTS.entries())
    for (const stop of POINTS.slice(index + 1)) {
      await bring(state);
      behind.set(start, () => bring(more));
      before.set(stop, () => bring(state));
      expect(await isRight(), `${start}, ${stop}`).toBe(true);
    }
});

it('goes on where a resync came in between, with a container that starts or without', async () => {
  for (const to of [state, more])
    for (const point of POINTS) {
      await bring(state);
      behind.set(point, () => applier.resync(requestOf(to)));
      expect(await isRight(), point).toBe(true);
    }
});

it('tells nothing where what is in force is not known, or more than containers changed', async () => {
  behind.set('list table inet', () => bring({ ...more, host: { ...state.host, log: { group: 6, rate: '1/second' } } }));
  await expect(isRight()).rejects.toThrow('more than containers');
  await bring(state);
  behind.set('list table inet', async () => applier.distrust());
  await expect(isRight()).rejects.toThrow('not known');
  expect(await isRight()).toBe(false);
});

it('proves nothing of what changed meanwhile', async () => {
  await applier.proof.lookAhead({ folders: [], trees: [], paths: [] });
  behind.set('list table inet', async () => {
    await bring(more);
    await bring(state);
  });
  expect(await isRight()).toBe(true);
  await new Promise((resolve) => setTimeout(resolve, 500));
  await applier.proof.look();
  count = 0;
  await applier.resync(requestOf(state));
  expect(count).toBeGreaterThan(0);
});

describe.each([2, 9])('of %i containers on a bridge', (length) => {
  const numbers = Array.from({ length }, (_, index) => 2 * index + 1);
  const ports = numbers.map((number) => onBridge(nicOf(number, 80), number > 1));
  const last = ports.at(-1);
  const all = onHostWithBridge(...ports);
  const fewer = onHostWithBridge(...ports.slice(0, -1));

  beforeEach(async () => {
    const names = numbers.map((number) => `${number}`).join(' ');
    await change(`ip link add br0 up type bridge; for n in ${names}; do
      [ -e /sys/class/net/veth$n ] || ip link add veth$n up type veth peer name veth$((n + 1))
      ip link set veth$n master br0; done`);
    await applier.resync(requestOf(all));
  });

  it('finds nothing where all is right', async () => {
    expect(await isRight(all)).toBe(true);
  });

  it.each([
    'ip link set dev veth1 type bridge_slave guard off',
    'ip link set dev veth1 type bridge_slave isolated on',
    'ip link set dev veth3 type bridge_slave isolated off',
    'ip link set dev br0 type bridge no_linklocal_learn 0',
    'nft delete element bridge routewall apart { "veth3" }',
    'nft flush set bridge routewall owned4',
    'nft delete table bridge routewall',
  ])('finds `%s`', async (drift) => {
    await change(drift);
    expect(await isRight(all)).toBe(false);
  });

  it('takes a port that is off its bridge for no difference', async () => {
    await change('ip link set veth3 nomaster');
    expect(await isRight(all)).toBe(true);
  });

  it('takes one that starts, stops or does both at any point for no difference', async () => {
    const name = `dev ${last?.hostVeth}`;
    const start = () => bring(all);
    const stop = async () => {
      await bring(fewer);
      // Its next one comes with the kernel's settings.
      await change(`ip link set ${name} nomaster; ip link set ${name} master br0`);
    };
    for (const point of ['list table inet', 'list table bridge', 'link show', ports.length > 4 ? 'slave' : name])
      for (const when of [before, behind])
        for (const [from, steps] of [
          [fewer, [start]],
          [all, [stop]],
          [all, [stop, start]],
        ] as const) {
          // One that isn't there is asked for by no name.
          if (from === fewer && point === name) continue;
          await bring(from);
          when.set(point, async () => {
            for (const step of steps) await step();
          });
          expect(await isRight(from), point).toBe(true);
          expect(when.size, `${point} doesn't come`).toBe(0);
        }
  });
});
