/** fixtures/import: each file with the policy that it becomes, what is said of it, and questions that both answer alike. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type Imported, renderImportedPolicy, renderImportedSet } from '../../../policies/import/imported.ts';
import { importIncus } from '../../../policies/import/incus.ts';
import { importProxmox } from '../../../policies/import/proxmox.ts';
import { importedVerdicts, packetOf } from './foreign-packet.ts';
import { judgeByIncus } from './incus-meaning.ts';
import { judgeByProxmox } from './proxmox-meaning.ts';

const root = fileURLToPath(new URL('../../../fixtures/import', import.meta.url));

const read = (folder: string, file: string): string | undefined =>
  existsSync(join(folder, file)) ? readFileSync(join(folder, file), 'utf8') : undefined;

function filesOf({ policy, profiles, sets }: Imported): Record<string, string> {
  return Object.fromEntries([
    ...(policy === undefined ? [] : [['containers/web.yaml', renderImportedPolicy(policy, 'input')]]),
    ...[...profiles].map(([name, one]) => [`profiles/${name}.yaml`, renderImportedPolicy(one, 'input')]),
    ...[...sets].map(([name, entries]) => [`sets/${name}.txt`, renderImportedSet(entries, 'input')]),
  ]);
}

const shown = (files: Readonly<Record<string, string>>): string =>
  Object.entries(files)
    .map(([path, text]) => `# --- ${path}\n${text}`)
    .join('');

function expectFile(folder: string, file: string, text: string): void {
  const path = join(folder, file);
  if (process.env['UPDATE_GOLDEN'] === '1') {
    if (text !== '') writeFileSync(path, text);
    return;
  }
  expect(text).toBe(read(folder, file) ?? '');
}

const saidOf = ({ findings }: Imported): string =>
  findings.map(({ line, severity = 'error', message }) => `${line}: ${severity}: ${message}\n`).join('');

describe.each(['incus', 'proxmox'])('%s', (peer) => {
  test.each(readdirSync(join(root, peer)).sort())('%s', (name) => {
    const folder = join(root, peer, name);
    const input = read(folder, 'input') ?? '';
    const cluster = read(folder, 'cluster.fw');
    const imported = peer === 'incus' ? importIncus(input) : importProxmox(input, { cluster, setFiles: true });
    const files = filesOf(imported);
    expectFile(folder, 'expected.yaml', shown(files));
    expectFile(folder, 'findings', saidOf(imported));
    const questions = (read(folder, 'questions') ?? '').split('\n').filter((line) => line !== '');
    if (imported.policy === undefined) return expect(questions).toEqual([]);
    const verdictOf = importedVerdicts(files);
    for (const line of questions) {
      // `foreign` where both differ, which a finding has to explain.
      const [words = '', answer = ''] = line.split(' = ');
      const [verdict, foreign = verdict] = answer.split(', there ');
      const packet = packetOf(words);
      expect(verdictOf(packet), words).toBe(verdict);
      const there = peer === 'incus' ? judgeByIncus(input, packet) : judgeByProxmox(input, cluster ?? '', packet);
      expect(there, `${words}, there`).toBe(foreign);
    }
    return expect(questions.length).toBeGreaterThan(3);
  });
});
