/** A container that is made anew under its name, with another network, just before it starts: nothing of the old one counts. */
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bridgedNic, createBridge } from '../../sandbox/bridge.ts';
import { cleanUp, makeFolder } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { ASKS_MONITOR } from '../lxc/perl-programs.ts';
import { nic, OPEN, type Routewall, startRoutewall } from '../lxc/routewall.ts';

let routewall: Routewall;
let hook: string;
/** As LXC's monitor does while it waits for a hook, what asks it takes its time; a line in here for each time it was asked. */
let asked: string;

beforeAll(async () => {
  const folder = await makeFolder();
  asked = join(folder, 'asked');
  // The process that starts commands would run it itself.
  const slow = `case "$*" in *starts?commands*) exit 1;; ${ASKS_MONITOR}) echo asked >>${asked}; sleep 0.45;; esac`;
  await writeFile(join(folder, 'perl'), `#!/bin/sh\n${slow}\nexec /usr/bin/perl "$@"\n`);
  await chmod(join(folder, 'perl'), 0o755);
  routewall = await startRoutewall({
    daemonEnv: { PATH: `${folder}:${process.env['PATH']}` },
    prepare: async ({ host }) => createBridge(host),
  });
  hook = routewall.hook;
});
afterAll(cleanUp);

const timesAsked = async (): Promise<number> => (await readFile(asked, 'utf8').catch(() => '')).split('\n').length;

const KINDS = {
  routed: (address: string, veth: string) => [
    ...nic([address], { extra: [`veth.pair = ${veth}`] }),
    `lxc.net.0.script.up = ${hook}`,
  ],
  // What tells its hardware address before it runs is the hook for the whole container alone.
  bridged: (address: string, veth: string) => [
    ...bridgedNic([address], { extra: [`veth.pair = ${veth}`] }),
    `lxc.hook.start-host = ${hook}`,
  ],
};

test.each([
  ['routed', '198.51.100.60', '198.51.100.61', 'rw-new'],
  ['bridged', '198.51.100.160', '198.51.100.161', 'br-new'],
  ['bridged', '198.51.100.162', '198.51.100.163', 'br-old'],
] as const)('%s with %s, then with %s, in the midst of a pass that began before', async (kind, old, now, veth) => {
  const name = `anew${now.split('.')[3]}`;
  const before = KINDS[kind](old, kind === 'routed' ? 'rw-old' : 'br-old');
  const container = await routewall.addContainer(name, { policy: OPEN, lines: before });
  // So that a hardware address is known, of a veth that is another one by and by.
  await routewall.start(container);
  await container.stop();
  // Else it knows that it has stopped, and asks nobody.
  await routewall.daemon.restart();
  const [times, after] = [await timesAsked(), routewall.mark()];
  // A pass that asks LXC about the container as it was.
  await container.configure([...before, '# touched']);
  await eventually('it is asked about', async () => (await timesAsked()) > times);
  await container.configure(KINDS[kind](now, veth));
  await container.start();
  const lines = routewall.daemon
    .child()
    .lines.slice(after)
    .filter((line) => line.includes(` ${name} eth0 `) && line.includes(': enforced in'));
  expect(lines.join('\n')).toMatch(new RegExp(`via ${veth} .*${now}`));
  expect(lines.join('\n')).not.toContain(old);
  if (kind === 'bridged') {
    const inside = await container.inside();
    const mac = /link\/ether (\S+)/.exec((await inside.run('ip', ['link', 'show', 'eth0'])).stdout)?.[1];
    const { stdout } = await routewall.bed.host.run('nft', ['list', 'set', 'bridge', 'routewall', 'port_mac']);
    expect(stdout).toContain(`"${veth}" . ${mac}`);
  }
  await routewall.stop(container);
});
