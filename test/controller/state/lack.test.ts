/** What an earlier run left is not taken for lost because this one has no descriptor to read it. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { BACKEND_MEMORY, readBackends } from '../../../controller/apply/backend-memory.ts';
import { DnsMemory } from '../../../controller/state/dns-memory.ts';
import { isLack } from '../../../controller/state/lack.ts';
import { LastGood } from '../../../controller/state/last-good.ts';
import { PendingRecords } from '../../../controller/state/pending-records.ts';
import { openTrafficMemory } from '../../../controller/traffic/traffic-memory.ts';
import { exhaustFiles, releaseFiles, restoreFiles } from '../out-of-files.ts';
import { makeBed } from '../revisions/revisions-bed.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'routewall-lack-'));
});
afterEach(async () => {
  restoreFiles();
  await rm(folder, { recursive: true });
});

it.each<readonly [string, string, () => Promise<unknown>]>([
  ['last good policies', 'last-good/web.json', () => new LastGood(folder).open()],
  ['policies to be written', 'pending-1', () => new PendingRecords(folder).open()],
  ['answers of DNS', 'dns-answers.json', () => new DnsMemory(folder, () => undefined).open(60)],
  ['which backends served', BACKEND_MEMORY, () => readBackends(folder)],
  ['that tc holds something', 'traffic-control', () => openTrafficMemory(folder).isMarked()],
])('%s', async (_, file, read) => {
  await mkdir(join(folder, 'last-good'));
  await writeFile(join(folder, file), '{}');
  await exhaustFiles();
  const cause: unknown = await read().catch((thrown: unknown) => thrown);
  releaseFiles();
  expect(cause).toBeInstanceOf(Error);
  expect(isLack(cause)).toBe(true);
  await read();
});

it('a revision that is to be taken back is, once that can be read', async () => {
  const bed = await makeBed();
  try {
    const run = await bed.open();
    await run.pass('A');
    await run.pass('B', { kind: 'apply', confirmSeconds: 60, by: 'anne' });
    bed.clock.uptime += 100;
    await exhaustFiles();
    await expect(run.pass('B')).rejects.toThrow();
    releaseFiles();
    expect((await run.pass('B')).inForce).toBe('A');
  } finally {
    releaseFiles();
    await bed.remove();
  }
});
