/**
 * What an edit of a long list costs the daemon's process, without a kernel: reading it, naming the chain by it, its sets, the
 * difference to those before, and the words for that. With the options of the package's launcher for Node, as the daemon has
 * set it by then. `node scripts/bench.mjs long-list [LINES] [EDITS]`
 */
import { spawnSync } from 'node:child_process';
import { PerformanceObserver } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { createHeap } from '../controller/heap.ts';
import { readAddressSet } from '../policies/address-set.ts';
import { chainHash } from '../policies/chain-hash.ts';
import { compareChains } from '../policies/flows/compare-chains.ts';
import { renderPolicyChain } from '../render/policy-chain.ts';
import type { PolicyChain } from '../render/rule.ts';
import type { Ruleset } from '../render/ruleset.ts';
import { diffRulesets } from '../render/transaction.ts';
import { packagedFlags } from './as-packaged.ts';
import { median, report, spread } from './report.ts';

const count = Number(process.argv[2] ?? 100_000);
const edits = Number(process.argv[3] ?? 12);
/** In the process that measures. */
const kind = process.argv[4];

/** Every other one, so that none can be merged with its neighbour. */
const KINDS: Readonly<Record<string, (index: number) => string>> = {
  addresses: (index) => `10.${index >> 15}.${(index >> 7) & 255}.${(2 * index) & 255}`,
  networks: (index) => `${16 + (index >> 15)}.${(index >> 7) & 255}.${(2 * index) & 255}.0/24`,
  'IPv6 networks': (index) => `2001:db8:${(index >> 15).toString(16)}:${((2 * index) & 65535).toString(16)}::/64`,
};

const STAGES = ['read', 'name', 'sets', 'difference', 'words'] as const;

const listOf = (line: (index: number) => string, edit: number): Buffer =>
  Buffer.from(`${Array.from({ length: count - 1 }, (_, index) => line(index)).join('\n')}\n198.51.100.${2 * edit}\n`);

const PLACE = { file: 'containers/web.yaml', line: 3, column: 7 };

function chainOf({ ranges }: ReturnType<typeof readAddressSet>): PolicyChain {
  const rules = ([4, 6] as const).map((family) => ({
    ...({
      peer: { kind: 'ranges', family, ranges: ranges[family] },
      service: { kind: 'any' },
      action: 'allow',
    } as const),
    ...{ log: false, origin: PLACE },
  }));
  return { direction: 'egress', default: { verdict: 'drop', log: false, origin: null }, rules };
}

function rulesetOf(chain: PolicyChain): Ruleset {
  const { sets, rules } = renderPolicyChain(chain, { log: { group: 'kernel', rate: '10/second' }, hasBridges: false });
  return new Map([['inet', { sets, chains: new Map([['chain', { hook: '', rules }]]) }]]);
}

async function measure(line: (index: number) => string): Promise<void> {
  let collecting = 0;
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) collecting += duration;
  }).observe({ entryTypes: ['gc'] });
  createHeap(setFlagsFromString).settle({ nics: 1, addresses: count });
  const addresses = { host: NOBODY, lan: NOBODY, containers: NOBODY, dns: new Map() };
  let before: { readonly chain: PolicyChain; readonly ruleset: Ruleset } | undefined;
  for (let edit = 0; edit <= edits; edit += 1) {
    const content = listOf(line, edit);
    await setTimeout(100);
    collecting = 0;
    const laps: number[] = [];
    let last = performance.now();
    const lap = <T>(result: T): T => {
      laps.push(performance.now() - last);
      last = performance.now();
      return result;
    };
    const chain = chainOf(lap(readAddressSet('sets/many.txt', content)));
    lap(chainHash(chain));
    const ruleset = lap(rulesetOf(chain));
    if (before !== undefined) {
      lap(diffRulesets(before.ruleset, ruleset));
      lap(compareChains(before.chain, chain, addresses));
    }
    before = { chain, ruleset };
    // The observer is told of collections behind them.
    await setTimeout(100);
    if (edit > 0) console.log(JSON.stringify([...laps, collecting]));
  }
}

const NOBODY = { 4: [], 6: [] };

/** In a process of its own: what the garbage collector makes of one kind is no other's. */
async function tell(name: string): Promise<string[]> {
  const script = process.argv[1] ?? '';
  const args = [...(await packagedFlags()), script, String(count), String(edits), name];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  const rounds = stdout
    .trim()
    .split('\n')
    .map((text): number[] => JSON.parse(text));
  const column = (of: (laps: readonly number[]) => number): string => {
    const values = rounds.map(of);
    return `${median(values).toFixed(0)} ${spread(values)}`;
  };
  return [
    name,
    ...STAGES.map((_, index) => column((laps) => laps[index] ?? Number.NaN)),
    column((laps) => laps.slice(0, STAGES.length).reduce((sum, each) => sum + each, 0)),
    column((laps) => laps.at(-1) ?? Number.NaN),
  ];
}

const line = KINDS[kind ?? ''];
if (line !== undefined) await measure(line);
else {
  const rows: string[][] = [];
  for (const name of Object.keys(KINDS)) rows.push(await tell(name));
  await report('long-list', {
    title: `A list of ${count.toLocaleString('en')} lines, one of them edited`,
    about: `Milliseconds in the daemon's process, medians of ${edits} edits in a row and their spread: reading the file, the hash that names the chain, the sets, the difference to the sets before and its text, and comparing what both allow, which comes a second behind the edit. What is collecting garbage of that, which goes on behind them too, stands last. Beside the address that changes, all lines are of one kind.`,
    command: `node scripts/bench.mjs long-list ${count} ${edits}`,
    columns: ['lines', ...STAGES, 'together', 'collecting garbage'],
    rows,
  });
}
