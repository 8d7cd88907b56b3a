/** Who starts comes before a comparison with the kernel, and waits for none over and over again. */
import { afterEach, expect, test } from 'vitest';
import { readStatusFile } from '../../controller/status/status-file.ts';
import { BRIDGE, BRIDGE_ROUTES, bridgedNic, createBridge } from '../../sandbox/bridge.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { makeTools } from '../attack/tools.ts';
import { addressesOf, nic, OPEN, type Routewall, type RoutewallOptions, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const PUT_ASIDE = /the comparison with the kernel: a container waits, and it is put aside/;

const WITH_BRIDGE: RoutewallOptions = {
  host: { routedPrefixes: BRIDGE_ROUTES },
  prepare: async ({ host }) => {
    await createBridge(host);
    // Otherwise it has that of one of its ports, and each that comes may change it.
    await host.run('ip', ['link', 'set', 'dev', BRIDGE, 'address', '02:16:3e:00:00:99']);
  },
};

const addBridged = ({ addContainer }: Routewall, last: number) =>
  addContainer(`bridged${last}`, { lines: bridgedNic([`198.51.100.${last}`]), policy: OPEN });

/** The bridge comes up with its first port, and everything is compared for what it tells of that: it is over by then. */
async function startOnBridge(routewall: Routewall): Promise<void> {
  await routewall.start(await addBridged(routewall, 150));
  const state = `/sys/class/net/${BRIDGE}/operstate`;
  await eventually('it is up', async () => (await routewall.bed.host.run('cat', [state])).stdout === 'up');
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  await routewall.cli('apply');
}

async function startHost(options: RoutewallOptions = {}) {
  const tools = await makeTools();
  const routewall = await startRoutewall({ config: 'resync: 86400\n', env: { PATH: tools.path }, ...options });
  const add = (name: string, last: number) =>
    routewall.addContainer(name, { lines: nic(addressesOf(last)), policy: OPEN });
  const linesSince = (mark: number) => routewall.daemon.child().lines.slice(mark);
  return { tools, routewall, add, linesSince, host: routewall.bed.host };
}

// Two events may come to the daemon in two turns of its loop, which shows nothing.
test('a start that comes with a change by somebody else is enforced before that is compared', {
  retry: 3,
}, async () => {
  const { tools, routewall, add, linesSince, host } = await startHost();
  await routewall.start(await add('zero', 19));
  const one = await add('one', 20);
  const mark = routewall.mark();
  const { pid } = routewall.daemon.child();
  await tools.setNft('hanging');
  // Both have happened when it goes on.
  process.kill(pid, 'SIGSTOP');
  await host.run('nft', ['insert', 'rule', 'inet', 'routewall', 'forward_from', 'counter']);
  await one.start();
  process.kill(pid, 'SIGCONT');
  await routewall.enforced('one', { after: mark });
  expect(linesSince(mark).filter((line) => PUT_ASIDE.test(line))).toEqual([]);
  // It is compared, by what hangs still.
  await routewall.start(await add('two', 21));
  await routewall.daemon.child().waitForLine(/the comparison with the kernel: .*; again in/, { after: mark });
});

test.each(['among routed containers', 'beside one on a bridge'])(
  'a comparison that finds nothing is in the way of those who start once at most, %s',
  async (where) => {
    const isBeside = where === 'beside one on a bridge';
    const { tools, routewall, add, linesSince, host } = await startHost(isBeside ? WITH_BRIDGE : {});
    if (isBeside) await startOnBridge(routewall);
    const some = await add('some', 20);
    await routewall.start(await add('zero', 19));
    await tools.setNft('slower');
    const mark = routewall.mark();
    const startsAndStops = async (): Promise<void> => {
      await routewall.start(some);
      await routewall.stop(some, 'kill');
    };
    // Told by one event, as a pair that comes is not: each asks for a comparison, and might have taken routes along.
    await host.run('ip', ['link', 'set', 'eth0', 'group', '7']);
    const isUnread = async (): Promise<boolean> => {
      const { unread = [] } = (await readStatusFile(routewall.env['RUNTIME_DIRECTORY'] ?? '')) ?? {};
      return unread.length > 0;
    };
    await eventually('it is put aside', async () => {
      await startsAndStops();
      return linesSince(mark).some((line) => PUT_ASIDE.test(line));
    });
    await eventually(
      'it is known all the same',
      async () => {
        await startsAndStops();
        return !(await isUnread());
      },
      120_000,
    );
    expect(
      linesSince(mark).filter((line) => PUT_ASIDE.test(line)),
      linesSince(mark).join('\n'),
    ).toHaveLength(1);
  },
);

test('a start beside a bridge reads no link but its own', async () => {
  const { tools, routewall, add, linesSince, host } = await startHost(WITH_BRIDGE);
  await startOnBridge(routewall);
  await tools.setIp({ words: '-j\\ link\\ show', does: 'hang' });
  const mark = routewall.mark();
  const [routed, bridged] = [await add('routed', 20), await addBridged(routewall, 151)];
  const startsAndStops = async (...containers: readonly Container[]): Promise<void> => {
    for (const container of containers) {
      await routewall.start(container);
      await routewall.stop(container, 'kill');
    }
  };
  await startsAndStops(routed, bridged, routed, bridged, routed);
  expect(linesSince(mark).filter((line) => /; again in/.test(line))).toEqual([]);
  // What reads all of them hangs indeed.
  await host.run('ip', ['link', 'set', 'eth0', 'group', '7']);
  await startsAndStops(routed);
  await routewall.daemon.child().waitForLine(/links.*; again in/, { after: mark });
});
