/**
 * The same commit by each way to the kernel's rules: a fork of `nft -f`, the resident `nft -i` that the daemon uses, libnftables
 * in a process, and netlink alone, which is what the kernel itself takes. All four take turns in one namespace. Needs root,
 * gcc and libnftables-dev. `node scripts/bench.mjs channels [CONTAINERS,CONTAINERS…] [ROUNDS]`
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openNftChannel } from '../controller/commands/nft-channel.ts';
import { startResident } from '../controller/commands/run.ts';
import { createAssembler } from '../controller/pass/assemble.ts';
import { diffDesired, renderDesired } from '../render/nft.ts';
import { EMPTY_RULESET } from '../render/ruleset.ts';
import { diffRulesets } from '../render/transaction.ts';
import { cleanUp, makeFolder } from '../sandbox/clean-up.ts';
import { createNamespace } from '../sandbox/namespace.ts';
import { run } from '../sandbox/run.ts';
import { median, quantile, report, spread } from './report.ts';
import { inputsWithChains, nameOf, withoutVeth } from './synthetic.ts';

const counts = (process.argv[2] ?? '10,1000,10000').split(',').map(Number);
const rounds = Number(process.argv[3] ?? 40);
/** In a row by each way, so that its own cache is what it would be; the first isn't counted. */
const IN_A_ROW = 4;

type Change = 'start' | 'stop';
type Way = (change: Change) => Promise<number>;

/** What a start and a stop of one container are, as text. */
function changesOf(count: number, own: boolean) {
  const inputs = inputsWithChains(count, own);
  const assembler = createAssembler();
  const running = assembler.assemble(inputs).desired;
  const [key = ''] = inputs.containers[count >> 1]?.endpoints.map((endpoint) => endpoint.key) ?? [];
  const stopped = assembler.assemble(withoutVeth(inputs, key)).desired;
  const commands = {
    start: diffDesired(stopped, running, nameOf),
    stop: diffDesired(running, stopped, nameOf),
  };
  return { whole: diffRulesets(EMPTY_RULESET, renderDesired(running, nameOf)), commands };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

async function measure(count: number, own: boolean, folder: string): Promise<string[][]> {
  const namespace = await createNamespace('channels');
  const { whole, commands } = changesOf(count, own);
  const channel = openNftChannel(
    (command, args) => startResident('nsenter', [`--net=/run/netns/${namespace.name}`, command, ...args]),
    folder,
  );
  const commit = async (lines: readonly string[]): Promise<void> => {
    const refusal = await channel.commit(lines);
    if (refusal !== undefined) throw new Error(`${refusal.message}: ${refusal.command}`);
  };
  await commit(whole);
  const fileOf = (change: Change): string => join(folder, `${change}-${count}-${own}.nft`);
  const text = (change: Change): string => `${commands[change].join('\n')}\n`;
  for (const change of ['start', 'stop'] as const) await writeFile(fileOf(change), text(change));
  const program = namespace.spawn(join(folder, 'channels'), []);
  const byProgram =
    (how: 'library' | 'netlink'): Way =>
    async (change) => {
      const after = program.lines.length;
      program.write(`${how} ${fileOf(change)}\n`);
      return Number(await program.waitForLine(/^\d+$/, { after })) / 1e6;
    };
  const ways: ReadonlyMap<string, Way> = new Map([
    ['a fork of nft -f', (change) => timed(() => namespace.run('nft', ['-f', '-'], { input: text(change) }))],
    ['the resident nft -i', (change) => timed(() => commit(commands[change]))],
    ['libnftables in the process', byProgram('library')],
    ['netlink alone', byProgram('netlink')],
  ]);
  const times = new Map([...ways.keys()].map((name) => [name, { start: [] as number[], stop: [] as number[] }]));
  for (let round = 0; round < rounds; round += 1)
    for (const [name, way] of ways)
      for (let turn = 0; turn < IN_A_ROW; turn += 1)
        for (const change of ['stop', 'start'] as const) {
          const time = await way(change);
          if (turn > 0) times.get(name)?.[change].push(time);
        }
  channel.stop();
  await namespace.destroy();
  return [...times].map(([name, { start, stop }]) => [
    count.toLocaleString('en'),
    own ? 'own' : 'shared',
    name,
    median(start).toFixed(2),
    spread(start),
    quantile(start, 0.1).toFixed(2),
    median(stop).toFixed(2),
  ]);
}

try {
  const folder = await makeFolder();
  await run('gcc', ['-O2', '-o', join(folder, 'channels'), 'bench/channels.c', '-lnftables']);
  const rows: string[][] = [];
  for (const own of [false, true]) for (const count of counts) rows.push(...(await measure(count, own, folder)));
  await report('channels', {
    title: 'One commit by each way to the kernel',
    about: `Milliseconds, over ${rounds} rounds in turn: what one container's start and stop write, by a fork, by the resident nft that the daemon uses, by libnftables in a process, and as the bytes that libnftables sent, once more.`,
    command: `node scripts/bench.mjs channels ${counts.join(',')} ${rounds}`,
    columns: ['containers', 'chains', 'way', 'start', 'spread', 'fastest tenth', 'stop'],
    rows,
  });
} finally {
  await cleanUp();
}
