/** Reads other programs' chains, of nftables and of the old iptables; neither changes nor loads anything. */
import { readFile } from 'node:fs/promises';
import { type ChosenBackend, lacksNfTables } from '../apply/choose-backend.ts';
import { CommandError, type Run } from '../commands/run.ts';
import { parseJson } from '../json-shape.ts';
import { type ForeignChain, hasExtensions, parseChains } from './foreign-ruleset.ts';
import { parseIptablesSave, type SavedBy } from './iptables-save.ts';
import { holdersAmong, withoutOwn } from './without-own.ts';

export interface ForeignRules {
  readonly chains: readonly ForeignChain[];
  /** Tables of the old iptables whose rules can't be read, such as `ip filter`. */
  readonly unread: readonly string[];
  /** Backends that have rules of ours in the kernel. */
  readonly holders: ReadonlySet<ChosenBackend>;
}

/** @throws CommandError, ShapeError where nft can't list. */
export async function readForeignRules(run: Run): Promise<ForeignRules> {
  const [nft, legacy] = await Promise.all([
    readNft(run),
    Promise.all(FAMILIES.map((family) => readLegacy(run, family))),
  ]);
  return {
    chains: [nft, ...legacy].flatMap(({ chains }) => chains),
    holders: new Set([nft, ...legacy].flatMap(({ holders }) => [...holders])),
    unread: legacy.flatMap(({ unread }) => unread),
  };
}

/** Without what is in sets, which can be millions; a kernel without nf_tables holds nothing of it. */
async function readNft(run: Run): Promise<Omit<ForeignRules, 'unread'>> {
  const asked = await run('nft', ['-j', '-t', 'list', 'ruleset'], { timeout: 120_000 });
  if (lacksNfTables(asked)) return { chains: [], holders: new Set() };
  if (asked.exitCode !== 0) throw new CommandError(`nft list ruleset: ${asked.stderr.trim()}`);
  const all = parseChains(parseJson(asked.stdout).value);
  const chains = withoutOwn(all);
  const saved = new Map<string, ForeignChain[]>();
  for (const table of new Set(chains.filter(hasExtensions).map((chain) => chain.table))) {
    const told = await readTable(run, table, '-nft');
    if (told !== undefined) saved.set(table, withoutOwn(told));
  }
  // nft names the extensions of iptables' rules alone, and not what they match.
  return {
    chains: chains.flatMap((chain) => saved.get(chain.table)?.find(({ name }) => name === chain.name) ?? chain),
    holders: new Set(holdersAmong(all)),
  };
}

const FAMILIES = ['ip', 'ip6'] as const;

/** The kernel's own list: iptables-legacy would load what it asks for, and so is asked only about what is there. */
async function readLegacy(run: Run, family: SavedBy['family']): Promise<ForeignRules> {
  const names = await readFile(`/proc/net/${family}_tables_names`, 'utf8').catch(() => '');
  const [chains, unread]: [ForeignChain[], string[]] = [[], []];
  for (const name of names.split('\n').filter((word) => word !== '')) {
    const told = await readTable(run, `${family} ${name}`, '-legacy');
    if (told === undefined) unread.push(`${family} ${name}`);
    else chains.push(...told);
  }
  return { chains: withoutOwn(chains), unread, holders: new Set(holdersAmong(chains)) };
}

/** `undefined`: the program isn't there, or couldn't say. */
async function readTable(run: Run, table: string, variant: '-nft' | '-legacy'): Promise<ForeignChain[] | undefined> {
  const [word, name = ''] = table.split(' ');
  const family = FAMILIES.find((each) => each === word);
  if (family === undefined) return undefined;
  const command = `${family}tables${variant}`;
  const saved = await run(`${command}-save`, ['-t', name]).catch(() => undefined);
  if (saved?.exitCode !== 0) return undefined;
  const chains = parseIptablesSave(saved.stdout, { family, program: variant === '-nft' ? `${family}tables` : command });
  return chains.length === 0 ? undefined : chains;
}
