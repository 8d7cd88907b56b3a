/** What the kernel refuses for a while is had, or gone, once it is taken, though nothing tells of that. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
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

/** In the place of ip: while there is a file beside it, the resident one is told of another's wish where a route is to go. */
async function refusingIp(): Promise<{ readonly folder: string; readonly refusal: string }> {
  const folder = await makeFolder();
  const refusal = join(folder, 'refusal');
  const spoil = `$| = 1; s/^route del .*/address add 127.0.0.1\\/8 dev lo/ if -e "${refusal}"`;
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
  const { folder, refusal } = await refusingIp();
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
