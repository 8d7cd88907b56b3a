/** What goes wrong for a while is told by the status as long as it lasts, and no longer, though no pass comes along. */
import { mkdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { readStatusFile } from '../../controller/status/status-file.ts';
import type { StatusFile } from '../../controller/status/status-shape.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { kill } from '../../sandbox/sweep.ts';
import { childrenOf, commandOf } from '../attack/processes.ts';
import { makeTools, type Tools } from '../attack/tools.ts';
import { addressesOf, nic, OPEN, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

async function startWithOne(): Promise<{
  readonly routewall: Routewall;
  readonly one: Container;
  readonly tools: Tools;
}> {
  const tools = await makeTools();
  const routewall = await startRoutewall({ config: 'resync: 86400\n', env: { PATH: tools.path } });
  const one = await routewall.addContainer('one', { lines: nic(addressesOf(20)), policy: OPEN });
  await routewall.start(one);
  await told(routewall, 'all is well', isWell);
  return { routewall, one, tools };
}

const folderOf = ({ env }: Routewall): string => env['RUNTIME_DIRECTORY'] ?? '';

/** The file, which the daemon writes for those who can't ask it. */
const told = (routewall: Routewall, what: string, is: (status: StatusFile) => boolean): Promise<boolean> =>
  eventually(
    what,
    async () => {
      const status = await readStatusFile(folderOf(routewall));
      return status !== undefined && is(status);
    },
    60_000,
  );

const isWell = ({ unread = [], watchers }: StatusFile): boolean =>
  unread.length === 0 && Object.values(watchers).every((state) => state === 'synced');
const isUnread = ({ unread = [] }: StatusFile, what: string): boolean =>
  unread.some((reading) => reading.what === what);

test('a comparison that was put aside, and turned out not to be needed', async () => {
  const { routewall, tools } = await startWithOne();
  const { host } = routewall.bed;
  await tools.setNft('hanging');
  await host.run('nft', ['add', 'chain', 'inet', 'routewall', 'others']);
  await host.run('nft', ['delete', 'chain', 'inet', 'routewall', 'others']);
  await routewall.start(await routewall.addContainer('two', { lines: nic(addressesOf(21)), policy: OPEN }));
  await told(routewall, 'it is told', (status) => isUnread(status, 'the comparison with the kernel'));
  await tools.setNft('real');
  await told(routewall, 'nothing is told', isWell);
});

test('a monitor that ends, and can not be started', async () => {
  const { routewall, tools } = await startWithOne();
  await tools.setIp({ words: '*monitor*', does: 'fail' });
  for (const pid of childrenOf(routewall.daemon.child().pid).filter((one) => commandOf(one).includes(' monitor ')))
    kill(pid);
  await told(routewall, 'it is told', ({ watchers }) => watchers['ip-monitor'] === 'failed');
  await tools.setIp();
  await told(routewall, 'nothing is told', isWell);
});

test('passes that fail, since the disk refuses what nft is to read', async () => {
  const { routewall, one } = await startWithOne();
  const inItsPlace = join(folderOf(routewall), 'transaction.nft');
  await rm(inItsPlace, { force: true });
  await mkdir(inItsPlace);
  await routewall.writePolicy('containers/one.yaml', 'egress: { rules: [{ allow: tcp/80, to: any }] }\n');
  await told(routewall, 'it is told', (status) => isUnread(status, 'what changed'));
  const { stdout } = await routewall.cli('status');
  expect(stdout).toMatch(/^what changed: unfinished since .*EISDIR/m);
  await routewall.addContainer('two', { lines: nic(addressesOf(21)), policy: OPEN }).then((two) => two.start());
  await one.stop('kill');
  await rmdir(inItsPlace);
  await told(routewall, 'nothing is told', isWell);
  // The log tells what became of containers meanwhile.
  await routewall.daemon.waitForLog(/one eth0 via .*: removed in/);
  await routewall.daemon.waitForLog(/two eth0 via .*: enforced in/);
});
