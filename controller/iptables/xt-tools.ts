/** The commands of one variant of iptables, and what they read and write. Both variants have tables of their own. */
import type { Family } from '../../render/address.ts';
import { arpSaveOf, isOurSet, parseXtArp, parseXtSets, parseXtTables } from '../../render/iptables/xt-listing.ts';
import { EMPTY_XT, FAMILIES, type XtRuleset } from '../../render/iptables/xt-ruleset.ts';
import { createLine, diffXt, type XtStep } from '../../render/iptables/xt-transaction.ts';
import { CommandError, type CommandResult, patienceFor, type Run, runOrThrow } from '../commands/run.ts';

/** legacy: ip_tables, which needs no nf_tables; nft: the same commands by nf_tables. */
export type XtVariant = 'legacy' | 'nft';

/** system: whichever of them the commands without an ending are. */
export type XtCommands = XtVariant | 'system';

const ending = (variant: XtCommands): string => (variant === 'system' ? '' : `-${variant}`);

const BIN: Readonly<Record<Family, string>> = { 4: 'iptables', 6: 'ip6tables' };

export const xtCommand = (variant: XtCommands, family: Family, end: '' | '-save' | '-restore'): string =>
  `${BIN[family]}${ending(variant)}${end}`;

/** Which variant `iptables` is on this host; `undefined` where there is none. */
export async function systemVariant(run: Run): Promise<XtVariant | undefined> {
  const { stdout } = await run('iptables', ['--version']).catch(() => ({ stdout: '' }));
  if (stdout === '') return undefined;
  return stdout.includes('nf_tables') ? 'nft' : 'legacy';
}

/** What is missing for the variant, as words for the administrator; `undefined` where nothing is. */
export async function missingTool(run: Run, variant: XtVariant): Promise<string | undefined> {
  const tools: readonly (readonly [string, string])[] = [
    [xtCommand(variant, 4, '-restore'), 'iptables'],
    [xtCommand(variant, 6, '-restore'), 'iptables'],
    [`arptables-${variant}`, variant === 'legacy' ? 'arptables' : 'iptables'],
    ['ipset', 'ipset'],
  ];
  for (const [tool, debian] of tools) {
    const found = await run(tool, ['--version']).catch(() => undefined);
    if (found === undefined) return `${tool} doesn't run: on Debian, apt-get install ${debian}`;
    // The old arptables asks the kernel before it tells its version.
    if (found.exitCode !== 0) return forbidden(tool, found.stderr);
  }
  // A question about a set needs all that a service's sandbox may lack: its sockets, the lock, and the kernel's modules.
  const tool = xtCommand(variant, 4, '');
  const { stderr } = await run(tool, ['-w', '-C', 'INPUT', '-m', 'set', '--match-set', 'RW-lan4', 'src']);
  const [said] = /^.*(?:open socket|lock file|insmod|Address family|not permitted).*$/m.exec(stderr) ?? [];
  return said === undefined ? undefined : forbidden(tool, said);
}

const forbidden = (tool: string, said: string): string =>
  `${tool}: ${said.trim().split('\n')[0]}; for the packaged service: systemctl daemon-reload && systemctl restart routewall`;

/** Everything of ours; a failed reading is an error and never an absent rule. */
export async function readXt(run: Run, variant: XtVariant): Promise<XtRuleset> {
  const [v4, v6, sets, arp] = await Promise.all([
    readTables(run, variant, 4),
    readTables(run, variant, 6),
    readSets(run),
    readArp(run, variant),
  ]);
  const families = new Map([[4, parseXtTables(v4)] as const, [6, parseXtTables(v6)] as const]);
  return { families, sets: parseXtSets(sets), arp: parseXtArp(arp) };
}

/**
 * What tells whether somebody changed rules of ours: them, what stands before them, who owns what, and how many elements
 * the other sets have. All of those would cost seconds where a policy means a list of 100,000 prefixes.
 */
export async function readOurRules(run: Run, variant: XtVariant): Promise<string> {
  const texts = await Promise.all([
    ...FAMILIES.map((family) => readTables(run, variant, family)),
    readSets(run, (name) => /^RW-(?:owned|held)/.test(name)),
    readArp(run, variant),
  ]);
  const lines = texts.join('\n').split('\n');
  const { stdout } = await run('ipset', ['list', '-t']);
  return [...lines.filter((line) => /RW-|^\*/.test(line)), ...countElements(stdout)].join('\n');
}

/** `RW-lan4: 3` */
const countElements = (headers: string): string[] =>
  headers.split('\n\n').flatMap((header) => {
    const [, name = '', count = ''] = /^Name: (\S+)[\s\S]*^Number of entries: (\d+)/m.exec(header) ?? [];
    return isOurSet(name) ? [`${name}: ${count}`] : [];
  });

/** One process for all tables; an old one has no others loaded. */
export async function readTables(run: Run, variant: XtVariant, family: Family): Promise<string> {
  const save = xtCommand(variant, family, '-save');
  const text = await runOrThrow(run, save, []);
  // Printed with success about rules of nft's own in a table of that name, in the place of all its rules.
  const [complained] = /^# Table `(?:raw|filter)' is incompatible.*$/m.exec(text) ?? [];
  if (complained !== undefined) throw new CommandError(`${save}: ${complained.slice(2)}`);
  return text;
}

/** The old arptables-save asks whichever arptables is the host's, so that the rules themselves are asked for. */
const readArp = async (run: Run, variant: XtVariant): Promise<string> =>
  variant === 'nft'
    ? await runOrThrow(run, 'arptables-nft-save', [])
    : arpSaveOf(await runOrThrow(run, 'arptables-legacy', ['-L', '-n', '-v']));

/** Ours alone: other programs' sets may hold millions of elements. `restore` takes any command, one a line. */
async function readSets(run: Run, isAsked = isOurSet): Promise<string> {
  const names = (await runOrThrow(run, 'ipset', ['list', '-n']))
    .split('\n')
    .filter((name) => isOurSet(name) && isAsked(name));
  if (names.length === 0) return '';
  return await runOrThrow(run, 'ipset', ['restore'], { input: names.map((name) => `save ${name}\n`).join('') });
}

/** @returns what the tool said about the first step that it refused; what came before is in force then. */
export async function writeSteps(run: Run, variant: XtVariant, steps: readonly XtStep[]): Promise<string | undefined> {
  for (const step of steps) {
    const said = await writeStep(run, variant, step);
    if (said !== undefined) return said;
  }
  return undefined;
}

async function writeStep(run: Run, variant: XtVariant, step: XtStep): Promise<string | undefined> {
  const text = `${step.lines.join('\n')}\n`;
  switch (step.tool) {
    case 'ipset':
      return complaint('ipset', await run('ipset', ['-exist', 'restore'], { input: text }));
    case 'restore': {
      const tool = xtCommand(variant, step.family, '-restore');
      return complaint(tool, await run(tool, ['--noflush', '-w'], { input: text }));
    }
    case 'arptables':
      for (const line of step.lines) {
        const said = complaint(`arptables ${line}`, await run(`arptables-${variant}`, line.split(' ')));
        if (said !== undefined) return said;
      }
      return undefined;
  }
}

const complaint = (what: string, { exitCode, stderr }: CommandResult): string | undefined =>
  exitCode === 0 ? undefined : `${what}: ${stderr.trim().split('\n')[0] ?? `exit status ${exitCode}`}`;

const MARK = '=== ';

/** How iptables-save prints the rules: in a network namespace that exists only for this. @throws CommandError */
export async function listXtElsewhere(run: Run, variant: XtVariant, rendered: XtRuleset): Promise<XtRuleset> {
  const creates = [...rendered.sets].map(([name, set]) => createLine(name, set));
  const restores = diffXt(EMPTY_XT, { ...rendered, arp: new Set() }).filter((step) => step.tool === 'restore');
  const text = [
    'set -e',
    heredoc('ipset restore', creates),
    ...restores.map(({ family, lines }) => heredoc(`${xtCommand(variant, family, '-restore')} --noflush -w`, lines)),
    ...FAMILIES.flatMap((family) => [`echo '${MARK}'`, xtCommand(variant, family, '-save')]),
  ].join('\n');
  const output = await runOrThrow(run, 'unshare', ['--net', 'sh', '-s'], { input: text, timeout: patienceFor(text) });
  const [, v4, v6] = output.split(MARK);
  if (v4 === undefined || v6 === undefined) throw new CommandError('iptables-save: nothing was printed');
  return { ...rendered, families: new Map([[4, parseXtTables(v4)] as const, [6, parseXtTables(v6)] as const]) };
}

/** Quoted, so that the shell reads nothing in it. */
export const heredoc = (tool: string, lines: readonly string[], after = ''): string =>
  `${tool} <<'END-OF-RULES'${after}\n${lines.map((line) => `${line}\n`).join('')}END-OF-RULES`;
