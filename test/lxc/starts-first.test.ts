/** Who starts comes before a comparison with the kernel, and waits for none over and over again. */
import { afterEach, expect, test } from 'vitest';
import { readStatusFile } from '../../controller/status/status-file.ts';
import { BRIDGE_ROUTES, bridgedNic, createBridge } from '../../sandbox/bridge.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { makeTools } from '../attack/tools.ts';
import { addressesOf, nic, OPEN, type RoutewallOptions, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const PUT_ASIDE = /the comparison with the kernel: a container waits, and it is put aside/;

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
    const { tools, routewall, add, linesSince, host } = await startHost({
      host: { routedPrefixes: BRIDGE_ROUTES },
      prepare: async (bed) => createBridge(bed.host),
    });
    const bridged = await routewall.addContainer('bridged', { lines: bridgedNic(['198.51.100.150']), policy: OPEN });
    if (where === 'beside one on a bridge') await routewall.start(bridged);
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
    expect(linesSince(mark).filter((line) => PUT_ASIDE.test(line))).toHaveLength(1);
  },
);
