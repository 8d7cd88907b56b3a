/** What began in a container's name while it was stopped is cut, also where the kernel could not be asked at first. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createPretendedFlowCutter } from '../../../controller/connections/pretended-flows.ts';
import type { TrackedFlow } from '../../../controller/connections/tracked-flows.ts';
import { describeHost } from '../../../policies/host-network.ts';
import { parseAddress, parsePrefix } from '../../../render/address.ts';
import { certain, nicOf, stateOf } from '../states.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const HOST = {
  desired: stateOf(nicOf(1, 80)),
  network: describeHost([], { uplinks: 'auto', guard: [], veths: new Set() }),
};
const COME = new Map([['/lxc/c1/0', [certain(parsePrefix('198.51.100.1/32'))]]]);

/** From a container to the internet; its policy allows TCP to port 80. */
const flow = (protocol: number, port: number): TrackedFlow => ({
  ...{ family: 4, protocol, port, handle: `${protocol}/${port}` },
  source: certain(parseAddress('198.51.100.1')),
  destination: certain(parseAddress('203.0.113.80')),
});

/** What was read ahead; `undefined`: nothing. */
function start(failures: number, ahead?: readonly TrackedFlow[]) {
  const [removed, logged]: [string[], string[]] = [[], []];
  let left = failures;
  const watched = { begin: () => undefined, take: async () => ahead };
  const flows = {
    read: async function* () {
      if (left-- > 0) throw new Error('killed');
      yield [flow(17, 53), flow(6, 80), flow(6, 22)];
    },
    remove: async (handles: readonly string[]) => void removed.push(...handles),
    forget: async () => 0,
  };
  return { cutter: createPretendedFlowCutter(flows, watched, (_, text) => void logged.push(text)), removed, logged };
}

it.each([0, 2])('cuts all but TCP that is allowed, after %d failures', async (failures) => {
  const { cutter, removed, logged } = start(failures);
  cutter.cut(HOST, COME);
  await cutter.idle();
  expect(removed).toEqual(['17/53', '6/22']);
  expect(logged).toEqual(["2 connections cut that began before their address was a container's"]);
});

it('takes what was read ahead, and reads nothing then', async () => {
  const { cutter, removed } = start(60, [flow(17, 53), flow(6, 80)]);
  cutter.cut(HOST, COME);
  await cutter.idle();
  expect(removed).toEqual(['17/53']);
});

it('keeps nobody waiting for more than a few tries, and goes on trying', async () => {
  const { cutter, removed, logged } = start(4);
  cutter.cut(HOST, COME);
  await cutter.idle();
  expect(removed).toEqual([]);
  expect(logged).toEqual(["connections from before an address was a container's: killed; trying again"]);
  await vi.advanceTimersByTimeAsync(1_000);
  await cutter.idle();
  expect(removed).toEqual(['17/53', '6/22']);
});

it('tries all that waits together, ever more rarely', async () => {
  const { cutter, removed, logged } = start(60);
  for (const key of ['/lxc/c1/0', '/lxc/c2/0', '/lxc/c3/0', '/lxc/c4/0']) {
    cutter.cut(HOST, new Map([[key, [certain(parsePrefix('198.51.100.1/32'))]]]));
    await cutter.idle();
  }
  await vi.advanceTimersByTimeAsync(20_000);
  expect(logged.length).toBeLessThan(12);
  await vi.advanceTimersByTimeAsync(200_000);
  expect(removed).toContain('6/22');
});
