/** `routewall import`: a policy from another firewall's file, and a line for each thing that no policy can say. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { type Imported, renderImportedPolicy, renderImportedSet } from '../../policies/import/imported.ts';
import { importIncus } from '../../policies/import/incus.ts';
import { importProxmox } from '../../policies/import/proxmox.ts';
import { whyUnread } from '../../policies/read-file.ts';
import { maxStructuredBytes, readSourceText } from '../../policies/source-text.ts';
import { CliError, EXIT } from './exit.ts';
import type { Invocation } from './options.ts';
import { printProblems } from './print-problems.ts';

export interface ImportFlags {
  readonly peer: 'incus' | 'proxmox';
  readonly file: string;
  /** The policy folder to write into; standard output without it. */
  readonly output: string | undefined;
  readonly force: boolean;
  /** Proxmox' cluster.fw. */
  readonly cluster: string | undefined;
}

export async function runImport(invocation: Invocation, flags: ImportFlags): Promise<number> {
  const { io, shared, errColours } = invocation;
  const imported = await read(invocation, flags);
  const problems = imported.findings.map(({ line, column, message, severity = 'error' }) => ({
    ...{ file: flags.file, line, column, message, severity },
  }));
  const name = shared.names[0] ?? basename(flags.file).replace(/\.[^.]*$/, '');
  if (name === '' || name !== basename(name)) throw new CliError(EXIT.usage, `"${name}" is no container's name`);
  const files = filesOf(imported, name, flags);
  if (shared.json) io.out.write(`${JSON.stringify({ files: Object.fromEntries(files), problems }, null, 2)}\n`);
  else if (flags.output !== undefined) await writeAll(invocation, files, flags.output, flags.force);
  else if (imported.policy !== undefined) io.out.write([...files.values()].join(''));
  else if (imported.profiles.size > 0) {
    throw new CliError(EXIT.usage, `${flags.file}: a cluster's file makes several files; -o DIR says where`);
  }
  if (!shared.json) printProblems(io.err, errColours, problems, { resolve: (file) => resolve(io.folder, file) });
  return problems.length > 0 || files.size === 0 ? EXIT.no : EXIT.fine;
}

async function read({ io, shared }: Invocation, { peer, file, output, cluster }: ImportFlags): Promise<Imported> {
  const text = await readText(io.folder, file);
  if (peer === 'incus') return importIncus(text);
  const clusterText = cluster === undefined ? undefined : await readText(io.folder, cluster);
  return importProxmox(text, { cluster: clusterText, setFiles: output !== undefined || shared.json });
}

/** @throws CliError */
async function readText(folder: string, file: string): Promise<string> {
  const content = await readFile(resolve(folder, file)).catch((cause: unknown) => {
    throw new CliError(EXIT.usage, `${file}: ${whyUnread(cause)}`, { cause });
  });
  const source = readSourceText(content, maxStructuredBytes);
  if ('text' in source) return source.text;
  throw new CliError(EXIT.no, `${file}:${source.finding.line}:${source.finding.column}: ${source.finding.message}`);
}

/** By path below the policy folder. */
function filesOf({ policy, profiles, sets }: Imported, name: string, { file }: ImportFlags): Map<string, string> {
  const source = basename(file);
  return new Map([
    ...(policy === undefined ? [] : [[`containers/${name}.yaml`, renderImportedPolicy(policy, source)] as const]),
    ...[...profiles].map(([key, one]) => [`profiles/${key}.yaml`, renderImportedPolicy(one, source)] as const),
    ...[...sets].map(([key, entries]) => [`sets/${key}.txt`, renderImportedSet(entries, source)] as const),
  ]);
}

/** All or nothing: half of an import means something else. @throws CliError */
async function writeAll(
  { io }: Invocation,
  files: ReadonlyMap<string, string>,
  folder: string,
  force: boolean,
): Promise<void> {
  const placed = [...files].map(([path, text]) => ({ shown: join(folder, path), text }));
  const there = placed.filter(({ shown }) => existsSync(resolve(io.folder, shown)));
  if (there.length > 0 && !force) {
    const names = there.map(({ shown }) => shown).join(', ');
    throw new CliError(EXIT.usage, `${names}: there already; --force writes over it`);
  }
  for (const { shown, text } of placed) {
    const path = resolve(io.folder, shown);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text, force ? {} : { flag: 'wx' });
    io.out.write(`${shown}\n`);
  }
}
