/**
 * What the hook adds to `lxc-start`: without a hook, with an empty one, and with routewall's as script.up and as
 * start-host, in turn on one host with a real daemon on a private bus. Prints a table; needs root.
 * `node scripts/bench.mjs hook-time [ROUNDS]`
 */
import { chmod, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { cleanUp, makeFolder } from '../sandbox/clean-up.ts';
import type { Container } from '../sandbox/container.ts';
import { startBus } from '../test/dbus/system-bus.ts';
import { nic, OPEN, type Routewall, startRoutewall } from '../test/lxc/routewall.ts';

const rounds = Number(process.argv[2] ?? 40);
const HOOK = resolve('packaging/hook/routewall-hook');

async function timeStart(routewall: Routewall, { lxcPath, name }: Container): Promise<number> {
  const { host } = routewall.bed;
  const begin = performance.now();
  await host.run('lxc-start', ['-P', lxcPath, '-n', name, '-d']);
  const took = performance.now() - begin;
  await host.run('lxc-stop', ['-P', lxcPath, '-n', name, '-k']);
  return took;
}

function quantile(sorted: readonly number[], share: number): string {
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return value.toFixed(1).padStart(8);
}

try {
  const bus = await startBus();
  const routewall = await startRoutewall({ env: bus.env });
  await routewall.daemon.waitForLog(/D-Bus: serving/);
  const empty = join(await makeFolder(), 'empty');
  await writeFile(empty, '#!/bin/sh\n');
  await chmod(empty, 0o755);
  const ours = `/usr/bin/env DBUS_SYSTEM_BUS_ADDRESS=${bus.address} ${HOOK}`;
  const kinds: readonly (readonly [string, readonly string[]])[] = [
    ['no hook', []],
    ['an empty hook', [`lxc.net.0.script.up = /usr/bin/env A=b ${empty}`]],
    ['routewall, script.up', [`lxc.net.0.script.up = ${ours}`]],
    ['routewall, start-host', [`lxc.hook.start-host = ${ours}`]],
  ];
  const samples = new Map<string, number[]>();
  const containers = new Map<string, Container>();
  for (const [index, [title, lines]] of kinds.entries()) {
    const spec = { policy: OPEN, lines: [...nic([`198.51.100.${10 + index}`]), ...lines] };
    containers.set(title, await routewall.addContainer(`c${index}`, spec));
  }
  for (let round = -2; round < rounds; round += 1) {
    for (const [title, container] of containers) {
      const took = await timeStart(routewall, container);
      if (round >= 0) samples.set(title, [...(samples.get(title) ?? []), took]);
    }
  }
  console.log(`lxc-start, ms, ${rounds} rounds`.padEnd(30), '  median      p90      max');
  for (const [title, values] of samples) {
    const sorted = [...values].sort((a, b) => a - b);
    console.log(title.padEnd(30), quantile(sorted, 0.5), quantile(sorted, 0.9), quantile(sorted, 1));
  }
} finally {
  await cleanUp();
}
