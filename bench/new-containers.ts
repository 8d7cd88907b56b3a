/**
 * Containers of one job each: made, started with the start hook, removed. How long lxc-start takes to rules in force for one that is
 * there for long, for one that was made a second before, and for one that was made right before, in turn beside others that run.
 * Prints a table; needs root. `node scripts/bench.mjs new-containers [OTHERS] [ROUNDS]`
 */
import { setTimeout } from 'node:timers/promises';
import { cleanUp } from '../sandbox/clean-up.ts';
import type { Container } from '../sandbox/container.ts';
import { nic, type Routewall, startRoutewall } from '../test/lxc/routewall.ts';
import { asPackaged } from './as-packaged.ts';
import { makeOthers, policyOf } from './others.ts';
import { plainHook } from './plain-hook.ts';
import { quantile, report } from './report.ts';
import { untilCleared } from './start-watch.ts';

const others = Number(process.argv[2] ?? 1_000);
const rounds = Number(process.argv[3] ?? 30);

/** What a new configuration and policy make the daemon do is done by then. */
const SETTLE_MS = 1_000;

const routewall = await startRoutewall({
  config: 'uplinks: [eth0]\n',
  ...(await asPackaged()),
});

const hook = await plainHook(routewall);
let made = 0;

/** Each with an address, and a policy, that nobody had before. */
function make(): Promise<Container> {
  const number = made++;
  const lines = [...nic([`198.51.${100 + (number >> 8)}.${number & 255}`]), `lxc.hook.start-host = ${hook}`];
  return routewall.addContainer(`job${number}`, { lines, policy: policyOf(10_000 + number) });
}

async function timeStart({ bed, daemon, mark }: Routewall, { name }: Container): Promise<number> {
  const after = mark();
  const enforced = daemon
    .child()
    .waitForLine(new RegExp(` ${name} \\S+ via .*: enforced in `), { after, timeout: 60_000 });
  const begin = performance.now();
  const started = bed.host.run('lxc-start', ['-P', bed.lxcPath, '-n', name, '-d'], { timeout: 60_000 });
  await enforced;
  const took = performance.now() - begin;
  await started;
  return took;
}

async function stop({ bed, daemon, mark }: Routewall, { name }: Container): Promise<void> {
  const after = mark();
  await bed.host.run('lxc-stop', ['-P', bed.lxcPath, '-n', name, '-k']);
  await daemon.child().waitForLine(new RegExp(` ${name} .*: removed in `), { after, timeout: 60_000 });
  await untilCleared();
}

async function ofOneJob(waitMs: number): Promise<number> {
  const container = await make();
  if (waitMs > 0) await setTimeout(waitMs);
  const took = await timeStart(routewall, container);
  await stop(routewall, container);
  await container.destroy();
  await routewall.writePolicy(`containers/${container.name}.yaml`, undefined);
  await setTimeout(SETTLE_MS);
  return took;
}

try {
  await routewall.daemon.stop();
  await makeOthers(routewall.bed, routewall.policyFolder, others);
  const old = await make();
  await routewall.daemon.restart();
  await setTimeout(10 * SETTLE_MS);
  const ofOld = async (): Promise<number> => {
    const took = await timeStart(routewall, old);
    await stop(routewall, old);
    return took;
  };
  const kinds: readonly (readonly [string, () => Promise<number>])[] = [
    ['was there before the daemon', ofOld],
    ['was made a second before', () => ofOneJob(SETTLE_MS)],
    ['was made right before', () => ofOneJob(0)],
  ];
  const samples = kinds.map((): number[] => []);
  for (let round = 0; round < rounds; round += 1)
    for (const [index, [, work]] of kinds.entries()) samples[index]?.push(await work());
  await report('new-containers', {
    title: 'Containers of one job each',
    about: `Milliseconds from lxc-start to rules in force, with our hook, ${rounds} starts each in turn beside ${others.toLocaleString('en')} others that run. The daemon runs as packaged.`,
    command: `node scripts/bench.mjs new-containers ${others} ${rounds}`,
    columns: ['a container that', 'median', 'p90', 'longest'],
    rows: kinds.map(([title], index) => [
      title,
      ...[0.5, 0.9, 1].map((part) => quantile(samples[index] ?? [], part).toFixed(0)),
    ]),
  });
} finally {
  await cleanUp();
}
