/**
 * The first starts behind the daemon's own: real containers with the start hook that start one after the other as soon as the daemon
 * is ready, among others that run already, in several runs of it; where asked for, beside one container on a bridge. Prints a
 * table; needs root.
 * `node scripts/bench.mjs first-starts [OTHERS] [RUNS] [STARTS] [bridged]`
 */
import { BRIDGE_ROUTES, bridgedNic, createBridge } from '../sandbox/bridge.ts';
import { cleanUp } from '../sandbox/clean-up.ts';
import { nic, type Routewall, startRoutewall } from '../test/lxc/routewall.ts';
import { asPackaged } from './as-packaged.ts';
import { makeOthers, policyOf } from './others.ts';
import { plainHook } from './plain-hook.ts';
import { median, report } from './report.ts';
import { untilCleared } from './start-watch.ts';

const others = Number(process.argv[2] ?? 10_000);
const runs = Number(process.argv[3] ?? 5);
const starts = Number(process.argv[4] ?? 20);
const isBridged = process.argv[5] === 'bridged';
/** So that one's stop is long over when it starts again. */
const NAMES = ['h0', 'h1', 'h2'];

interface Start {
  /** Seconds from `ready` to the command. */
  readonly at: number;
  /** Milliseconds from the command to rules in force. */
  readonly took: number;
}

async function startAndStop({ bed, daemon, mark }: Routewall, name: string, ready: number): Promise<Start> {
  const words = ['-P', bed.lxcPath, '-n', name];
  const before = mark();
  const begin = performance.now();
  const started = bed.host.run('lxc-start', [...words, '-d'], { timeout: 60_000 });
  await daemon
    .child()
    .waitForLine(new RegExp(` ${name} \\S+ via .*: enforced in `), { after: before, timeout: 60_000 });
  const took = performance.now() - begin;
  await started;
  await bed.host.run('lxc-stop', [...words, '-k']);
  await daemon.child().waitForLine(new RegExp(` ${name} .*: removed in `), { after: before, timeout: 60_000 });
  await untilCleared();
  return { at: (begin - ready) / 1000, took };
}

try {
  const routewall = await startRoutewall({
    config: 'uplinks: [eth0]\n',
    ...(isBridged && { host: { routedPrefixes: BRIDGE_ROUTES }, prepare: async ({ host }) => createBridge(host) }),
    ...(await asPackaged()),
  });
  if (isBridged) {
    const lines = bridgedNic(['198.51.100.150'], { hwaddr: '02:16:3e:00:00:01' });
    await routewall.start(await routewall.addContainer('bridged', { lines, policy: policyOf(80) }));
  }
  await routewall.daemon.stop();
  await makeOthers(routewall.bed, routewall.policyFolder, others);
  const hook = await plainHook(routewall);
  for (const [index, name] of NAMES.entries()) {
    const lines = [...nic([`198.51.100.${60 + index}`]), `lxc.hook.start-host = ${hook}`];
    await routewall.addContainer(name, { lines, policy: policyOf(8000 + index) });
  }
  const all: Start[][] = [];
  for (let run = 0; run < runs; run += 1) {
    await routewall.daemon.restart();
    const ready = performance.now();
    const seen: Start[] = [];
    for (let start = 0; start < starts; start += 1)
      seen.push(await startAndStop(routewall, NAMES[start % NAMES.length] ?? '', ready));
    console.log(seen.map(({ at, took }) => `${took.toFixed(0)} at ${at.toFixed(1)} s`).join(', '));
    all.push(seen);
    await routewall.daemon.stop();
  }
  await report('first-starts', {
    title: 'The first starts behind the daemon’s own',
    about: `Milliseconds from lxc-start to rules in force, with our hook, of containers that start one after the other as soon as the daemon is ready, beside ${others.toLocaleString('en')} others that run already${isBridged ? ', and one on a bridge' : ''}: over ${runs} runs of the daemon, which runs as packaged. And the seconds behind \`ready\` at which that start began.`,
    command: `node scripts/bench.mjs first-starts ${others} ${runs} ${starts}${isBridged ? ' bridged' : ''}`,
    columns: ['start', 'at about, s', 'median', 'longest'],
    rows: Array.from({ length: starts }, (_, index) => {
      const each = all.flatMap((seen) => seen[index] ?? []);
      const took = each.map((one) => one.took);
      const at = median(each.map((one) => one.at));
      return [String(index + 1), at.toFixed(1), median(took).toFixed(0), Math.max(...took).toFixed(0)];
    }),
  });
} finally {
  await cleanUp();
}
