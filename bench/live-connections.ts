/**
 * What a tightened policy and a container that stops cost on a host that tracks many connections: how long until the
 * connections are gone, and how long anything else in the daemon has to wait meanwhile. Prints a table; needs root.
 * `node scripts/bench.mjs live-connections [COUNT]`
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { run, streamLines } from '../controller/commands/run.ts';
import { createFlowCutter } from '../controller/connections/cut-flows.ts';
import { trackedFlows } from '../controller/connections/tracked-flows.ts';
import type { FlowHost } from '../controller/explain/flow-sides.ts';
import { describeHost } from '../policies/host-network.ts';
import { parsePrefix } from '../render/address.ts';
import { cleanUp } from '../sandbox/clean-up.ts';
import { createNamespace, type Namespace } from '../sandbox/namespace.ts';
import { countTracked, trackConnections } from '../sandbox/tracked-connections.ts';
import { nicOf, stateOf } from '../test/controller/states.ts';
import { report } from './report.ts';

/** Containers 1 to 100 share the connections; 1 and 2 get some more. */
const CONTAINERS = 100;
const count = Number(process.argv[2] ?? 200_000);

async function fill(host: Namespace): Promise<void> {
  await host.run('nft', ['table inet t { chain c { type filter hook forward priority 0; ct state new accept; }; }']);
  for (let number = 1; number <= CONTAINERS; number += 1) {
    const source = `198.51.100.${number}`;
    await trackConnections(host, { source, server: '203.0.113.1', port: 443, count: count / CONTAINERS });
  }
}

async function timed(title: string, host: Namespace, work: () => Promise<unknown>): Promise<string[]> {
  const before = await countTracked(host);
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  const begin = performance.now();
  await work();
  const took = performance.now() - begin;
  delays.disable();
  const ms = (nanoseconds: number): string => (nanoseconds / 1e6).toFixed(1);
  const gone = before - (await countTracked(host));
  return [title, String(gone), took.toFixed(0), ms(delays.percentile(50)), ms(delays.percentile(99)), ms(delays.max)];
}

try {
  const host = await createNamespace('bench');
  await fill(host);
  const enter = ['nsenter', `--net=/run/netns/${host.name}`] as const;
  const flows = trackedFlows(
    (command, args, options) => run(enter[0], [enter[1], command, ...args], options),
    (command, args, input) => streamLines(enter[0], [enter[1], command, ...args], input),
  );
  const nics = Array.from({ length: CONTAINERS }, (_, index) => nicOf(index + 1, 443));
  const network = describeHost([], { uplinks: 'auto', guard: [], veths: new Set() });
  const state: FlowHost = { desired: stateOf(...nics), network };
  const cut = async (keys: readonly string[]): Promise<void> => {
    const cutter = createFlowCutter(flows, () => undefined);
    cutter.cut(state, keys);
    await cutter.idle();
  };
  const own = parsePrefix('198.51.100.2/32');
  // With an address that nobody has used.
  const unused = parsePrefix('198.51.100.200/32');
  const rows = [
    await timed('nothing to do', host, () => new Promise((resolve) => setTimeout(resolve, 1000))),
    await timed('one container starts', host, () => flows.forget(unused === undefined ? [] : [unused])),
    await timed('one policy tightened', host, () => cut(['/lxc/c1/0'])),
    await timed('one container stopped', host, () => flows.forget(own === undefined ? [] : [own])),
    await timed('the same by conntrack -D', host, () =>
      host.runForResult('conntrack', ['-D', '--orig-src', '198.51.100.3']),
    ),
    await timed('all policies tightened', host, () => cut([...state.desired.nics.keys()])),
  ];
  await report('live-connections', {
    title: `Live connections, ${count} tracked`,
    about:
      'Times in ms: until the connections are gone, and what an event waits for the event loop meanwhile (its resolution is a millisecond).',
    command: `node scripts/bench.mjs live-connections ${count}`,
    columns: ['', 'gone', 'took', 'wait, median', 'p99', 'most'],
    rows,
  });
} finally {
  await cleanUp();
}
