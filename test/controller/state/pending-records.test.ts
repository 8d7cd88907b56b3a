import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { PendingRecords } from '../../../controller/state/pending-records.ts';

const memento = { files: new Map([['containers/web.yaml', '{}']]), containers: new Map(), groups: new Map() };

test('what the disk refuses, or a kill cuts short, takes no room on it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'routewall-pending-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const pending = new PendingRecords(folder);
  // No file can come into a folder's place.
  await mkdir(join(folder, 'pending-1'));
  await expect(pending.keep([['web', memento]])).rejects.toThrow(/EISDIR|ENOTEMPTY/);
  expect(await readdir(folder)).toEqual(['pending-1']);
  await rm(join(folder, 'pending-1'), { recursive: true });
  await writeFile(join(folder, 'pending-7.new'), 'half');
  expect([...(await new PendingRecords(folder).open())]).toEqual([]);
  expect(await readdir(folder)).toEqual([]);
});

test('what is kept while others are cleared stays', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'routewall-pending-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const pending = new PendingRecords(folder);
  for (let count = 0; count < 100; count += 1) await pending.keep([['mail', memento]]);
  const cleared = pending.clear();
  await pending.keep([['web', memento]]);
  await cleared;
  expect(pending.isEmpty).toBe(false);
  expect([...(await new PendingRecords(folder).open()).keys()]).toEqual(['web']);
});
