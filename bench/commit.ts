/**
 * What one container's start costs on a host with many: putting inputs together, the difference, and nft's commit
 * through the resident channel. Prints a table; needs root.
 * `node scripts/bench.mjs commit [COUNT,COUNT…] [ROUNDS]`
 */

import { openNftChannel } from '../controller/commands/nft-channel.ts';
import { startResident } from '../controller/commands/run.ts';
import { createAssembler, type HostInputs } from '../controller/pass/assemble.ts';
import type { DesiredState } from '../render/desired.ts';
import { diffDesired, renderDesired } from '../render/nft.ts';
import { EMPTY_RULESET } from '../render/ruleset.ts';
import { diffRulesets } from '../render/transaction.ts';
import { cleanUp, makeFolder } from '../sandbox/clean-up.ts';
import { createNamespace } from '../sandbox/namespace.ts';
import { median, quantile, report } from './report.ts';
import { inputsWithChains, nameOf, SHARED, withoutVeth } from './synthetic.ts';

const counts = (process.argv[2] ?? '10,1000,10000').split(',').map(Number);
const rounds = Number(process.argv[3] ?? 60);

async function measure(count: number, own: boolean): Promise<string[]> {
  const namespace = await createNamespace('bench');
  const channel = openNftChannel(
    (command, args) => startResident('nsenter', [`--net=/run/netns/${namespace.name}`, command, ...args]),
    await makeFolder(),
  );
  const commit = async (commands: readonly string[]): Promise<number> => {
    const start = performance.now();
    const refusal = await channel.commit(commands);
    if (refusal !== undefined) throw new Error(`${refusal.message}: ${refusal.command}`);
    return performance.now() - start;
  };
  const assembler = createAssembler();
  const full = inputsWithChains(count, own);
  const times = { assemble: [] as number[], diff: [] as number[], start: [] as number[], stop: [] as number[] };
  const begin = performance.now();
  let current: DesiredState = assembler.assemble(full).desired;
  const first = performance.now() - begin;
  const load = await commit(diffRulesets(EMPTY_RULESET, renderDesired(current, nameOf)));
  const step = async (inputs: HostInputs, into: number[]): Promise<void> => {
    const t0 = performance.now();
    const { desired } = assembler.assemble(inputs);
    const t1 = performance.now();
    const commands = diffDesired(current, desired, nameOf);
    times.diff.push(performance.now() - t1);
    times.assemble.push(t1 - t0);
    into.push(await commit(commands));
    current = desired;
  };
  for (let round = 0; round < rounds; round += 1) {
    const [key = ''] = full.containers[(round * 7919) % count]?.endpoints.map((endpoint) => endpoint.key) ?? [];
    await step(withoutVeth(full, key), times.stop);
    await step(full, times.start);
  }
  channel.stop();
  await namespace.destroy();
  const { assemble, diff, start, stop } = times;
  const medians = [assemble, diff, start].map((values) => median(values).toFixed(2));
  return [
    count.toLocaleString('en'),
    own ? 'own' : 'shared',
    first.toFixed(0),
    load.toFixed(0),
    ...medians,
    quantile(start, 0.99).toFixed(2),
    median(stop).toFixed(2),
  ];
}

try {
  const rows: string[][] = [];
  for (const own of [false, true]) for (const count of counts) rows.push(await measure(count, own));
  await report('commit', {
    title: "One container's start, without LXC and the daemon's reading",
    about: `Milliseconds; medians of ${rounds} starts and stops through the resident nft. Policies: ${SHARED} shared ones, or chains of each container's own.`,
    command: `node scripts/bench.mjs commit ${counts.join(',')} ${rounds}`,
    columns: [
      'containers',
      'chains',
      'first assemble',
      'first load',
      'assemble',
      'difference',
      'commit of a start',
      'its p99',
      'of a stop',
    ],
    rows,
  });
} finally {
  await cleanUp();
}
