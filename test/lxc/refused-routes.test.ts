/** What the kernel refuses for a while is had, or gone, once it is taken, though nothing tells of that. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { BRIDGE, BRIDGE_ROUTES, bridgedNic, createBridge } from '../../sandbox/bridge.ts';
import { cleanUp, makeFolder } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { setSysctls } from '../../sandbox/namespace.ts';
import { addressesOf, nic, OPEN, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

test('a gateway address and a route', async () => {
  const routewall = await startRoutewall({ config: 'resync: 86400\n' });
  const { host } = routewall.bed;
  const ipv6 = (of: string, off: number) => setSysctls(host, { [`net/ipv6/conf/${of}/disable_ipv6`]: String(off) });
  await ipv6('default', 1);
  const one = await routewall.addContainer('one', { lines: nic(addressesOf(20)), policy: OPEN });
  await routewall.start(one);
  await routewall.statusTells(/one: ip .*(IPv6|ermission)/);
  // Of which no event tells.
  await ipv6(await one.hostVeth(), 0);
  await routewall.statusTells(/the kernel holds what the files say/);
  await eventually('all is well', async () => (await routewall.cli('status')).exitCode === 0);
});

/** In the place of ip: while there is a file beside it, the resident one is told of another's wish in place of such lines. */
async function refusingIp(lines: string): Promise<{ readonly folder: string; readonly refusal: string }> {
  const folder = await makeFolder();
  const refusal = join(folder, 'refusal');
  const spoil = `$| = 1; s/^${lines}.*/address add 127.0.0.1\\/8 dev lo/ if -e "${refusal}"`;
  await writeFile(
    join(folder, 'ip'),
    `#!/bin/sh
case "$*" in "-force -batch -") perl -pe '${spoil}' | exec /usr/sbin/ip "$@" ;; *) exec /usr/sbin/ip "$@" ;; esac
`,
    { mode: 0o755 },
  );
  await writeFile(refusal, '');
  return { folder, refusal };
}

test('a route that is wanted no more', async () => {
  const { folder, refusal } = await refusingIp('route del ');
  const env = { PATH: `${folder}:${process.env['PATH']}` };
  const routewall = await startRoutewall({ config: 'resync: 86400\n', daemonEnv: env });
  const { host } = routewall.bed;
  const policy = `routes: 203.0.113.64/28\n${OPEN}`;
  await routewall.start(await routewall.addContainer('one', { lines: nic(addressesOf(20)), policy }));
  const isThere = async (): Promise<boolean> => (await host.run('ip', ['route'])).stdout.includes('203.0.113.64/28');
  await eventually('it is there', isThere);
  const mark = routewall.mark();
  await routewall.writePolicy('containers/one.yaml', OPEN);
  await routewall.daemon.child().waitForLine(/route del 203\.0\.113\.64\/28.*: .*(exists|assigned)/, { after: mark });
  expect(await isThere()).toBe(true);
  await rm(refusal);
  await eventually('it is gone', async () => !(await isThere()));
  // Nobody else had put it there.
  await routewall.statusTells(/the kernel holds what the files say/);
  const said = routewall.daemon.child().lines.slice(mark);
  expect(said.filter((line) => line.includes('203.0.113.64/28'))).toHaveLength(1);
});

test('a port of a bridge', async () => {
  const { folder, refusal } = await refusingIp('link set dev lone0 type bridge_slave ');
  const routewall = await startRoutewall({
    host: { routedPrefixes: BRIDGE_ROUTES },
    config: 'resync: 86400\n',
    daemonEnv: { PATH: `${folder}:${process.env['PATH']}` },
    prepare: async ({ host }) => {
      await createBridge(host);
      // Else a port begins to forward 15 s behind its start, which is an event of its link.
      await host.run('ip', ['link', 'set', 'dev', BRIDGE, 'type', 'bridge', 'forward_delay', '0']);
    },
  });
  const lines = bridgedNic(['198.51.100.150'], { hwaddr: '02:16:3e:00:00:01', extra: ['veth.pair = lone0'] });
  await routewall.start(await routewall.addContainer('lone', { lines, policy: 'egress: { default: drop }\n' }));
  await routewall.daemon.child().waitForLine(/bridge_slave isolated on guard on: .*(exists|assigned)/);
  const port = async (): Promise<string> =>
    (await routewall.bed.host.run('ip', ['-d', 'link', 'show', 'dev', 'lone0'])).stdout;
  // Its start is over by then, of whose events each would be a reason to look at its port.
  await sleep(3_000);
  expect(await port()).toMatch(/isolated off/);
  await rm(refusal);
  await eventually('it is apart', async () => / guard on .*isolated on/.test(await port()));
  await routewall.statusTells(/the kernel holds what the files say/);
  const said = routewall.daemon.child().lines;
  expect(said.filter((line) => line.includes('bridge_slave'))).toHaveLength(1);
});

test('a setting of the kernel', async () => {
  const routewall = await startRoutewall({ config: 'resync: 86400\n' });
  const { host } = routewall.bed;
  const file = '/proc/sys/net/ipv4/ipfrag_time';
  const value = async (): Promise<string> => (await host.run('cat', [file])).stdout.trim();
  // As in the daemon's own view of the files alone.
  const mount = (...words: readonly string[]) =>
    host.run('nsenter', ['-t', String(routewall.daemon.child().pid), '-m', ...words]);
  await mount('mount', '--bind', file, file);
  await mount('mount', '-o', 'remount,bind,ro', file);
  await routewall.start(await routewall.addContainer('one', { lines: nic(addressesOf(20)), policy: OPEN }));
  await routewall.daemon.child().waitForLine(/sysctl net\/ipv4\/ipfrag_time = 2: .*read-only/);
  expect(await value()).toBe('30');
  await mount('umount', file);
  await eventually('it is set', async () => (await value()) === '2');
  await routewall.statusTells(/the kernel holds what the files say/);
  const said = routewall.daemon.child().lines;
  expect(said.filter((line) => line.includes('ipfrag_time'))).toHaveLength(1);
});
