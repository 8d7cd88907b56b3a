/** What a restart knows of names that policies mean. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { DnsMemory } from '../../../controller/state/dns-memory.ts';
import { eventually } from '../../../sandbox/eventually.ts';
import { type DnsRecord, NOTHING_KNOWN } from '../../../watchers/dns-record.ts';

const KEEP_SECONDS = 3600;

let folder: string;
let lines: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'routewall-dns-memory-'));
  lines = [];
});
// What the last step had written may still be on its way.
afterEach(() => rm(folder, { recursive: true, maxRetries: 10, retryDelay: 20 }));

async function open(): Promise<DnsMemory> {
  // What it says after its test is nobody's.
  const said = lines;
  const memory = new DnsMemory(folder, (level, text) => void said.push(`${level}: ${text}`));
  await memory.open(KEEP_SECONDS);
  return memory;
}

const seen = (address: string, ageSeconds: number): DnsRecord => ({
  ...NOTHING_KNOWN,
  addresses: [{ address, ttl: 60, seen: Date.now() - ageSeconds * 1000 }],
  answered: Date.now(),
});

const answersOf = ({ answers }: DnsMemory): Record<string, readonly string[]> => Object.fromEntries(answers);

it('gives back what it noted, without what lasted too long', async () => {
  const memory = await open();
  for (const [name, record] of [
    ['deb.example', seen('203.0.113.80', 10)],
    ['old.example', seen('203.0.113.81', KEEP_SECONDS + 1)],
  ] as const) {
    memory.records.set(name, record);
    memory.note(name, record, NOTHING_KNOWN);
  }
  await memory.save();
  expect(answersOf(await open())).toEqual({ 'deb.example': ['203.0.113.80'], 'old.example': [] });
});

it('keeps the identity of its answers while no address comes or goes', async () => {
  const memory = await open();
  const record = seen('203.0.113.80', 10);
  memory.records.set('deb.example', record);
  memory.note('deb.example', record, NOTHING_KNOWN);
  const before = memory.answers;
  memory.note('deb.example', seen('203.0.113.80', 0), record);
  expect(memory.answers).toBe(before);
});

it.each([
  '',
  '{',
  '[]',
  '{"deb.example": {"addresses": "203.0.113.80", "answered": 0, "next": 0}}',
  '{"deb.example": {"addresses": [{"address": "203.0.113.80"}], "answered": 0, "next": 0}}',
])('starts without answers where the file holds %j, and says so', async (text) => {
  await writeFile(join(folder, 'dns-answers.json'), text);
  expect(answersOf(await open())).toEqual({});
  expect(lines).toEqual([expect.stringMatching(/^warning: .*dns-answers\.json: .*names have no addresses/)]);
});

it('takes nothing that is no name or no address out of a file', async () => {
  const record = { addresses: [{ address: '203.0.113.80 }; flush ruleset', ttl: 60, seen: Date.now() }] };
  const file = { 'deb.example': record, '*.example': record };
  const text = JSON.stringify(file, (_, value) => (value === record ? { ...record, answered: null, next: 0 } : value));
  await writeFile(join(folder, 'dns-answers.json'), text);
  expect(answersOf(await open())).toEqual({ 'deb.example': [] });
});

it('says once that a server fails, and what ends it', async () => {
  const memory = await open();
  const good = seen('203.0.113.80', 10);
  const bad = { ...good, failures: 1, error: 'ETIMEOUT' };
  memory.note('deb.example', bad, good);
  memory.note('deb.example', { ...bad, failures: 2 }, bad);
  memory.note('deb.example', good, bad);
  expect(lines).toEqual([
    'warning: dns:deb.example: ETIMEOUT; 1 addresses stay for the time being',
    'info: dns:deb.example: answered again',
  ]);
  await memory.save();
  expect(await readFile(join(folder, 'dns-answers.json'), 'utf8')).toBe('{}\n');
});

it('is written once the disk takes it, which is told once', async () => {
  const memory = await open();
  memory.records.set('deb.example', seen('203.0.113.80', 10));
  await rm(folder, { recursive: true });
  await memory.save();
  await memory.save();
  await mkdir(folder);
  await eventually('it is written', async () => (await readdir(folder)).includes('dns-answers.json'));
  expect(lines).toEqual([expect.stringContaining('ENOENT')]);
  expect(answersOf(await open())).toEqual({ 'deb.example': ['203.0.113.80'] });
});
