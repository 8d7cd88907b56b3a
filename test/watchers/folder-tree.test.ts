/** A folder that can't be looked at any more is told as a failure, and followed again once it can be. */
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test, vi } from 'vitest';
import { FolderTree } from '../../watchers/folder-tree.ts';

/** The kernel refuses to follow such a link. */
const NOWHERE = 'a'.repeat(300);

let folder: string;
let told: string[];
let tree: FolderTree;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'routewall-tree-'));
  await mkdir(join(folder, 'elsewhere'));
  await mkdir(join(folder, 'real'));
  await symlink('../elsewhere', join(folder, 'real/one'));
  await mkdir(join(folder, 'real/two'));
  await symlink('real', join(folder, 'root'));
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
  told = [];
  tree = new FolderTree({
    root: join(folder, 'root'),
    wantsSubfolder: () => true,
    wantsEntry: () => true,
    onEntry: (subfolder, name) => told.push(`${subfolder}/${name}`),
    onSubfolder: (name) => told.push(name),
    onScanned: () => told.push('scanned'),
    onFailure: ({ cause }) => told.push(cause.message.replace(folder, '')),
  });
  tree.start();
  expect(told.splice(0)).toEqual(['one', 'two', 'scanned']);
  return async () => {
    tree.stop();
    vi.useRealTimers();
    await rm(folder, { recursive: true });
  };
});

async function lead(path: string, to: string): Promise<void> {
  await symlink(to, join(folder, 'new'));
  await rename(join(folder, 'new'), join(folder, path));
}

/** The kernel tells when it likes, and then the timers have to run. */
async function until(wanted: string): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!told.includes(wanted)) {
    if (performance.now() > deadline) throw new Error(`never ${wanted}; told: ${told.join(', ')}`);
    await new Promise((resolve) => setImmediate(resolve));
    vi.advanceTimersByTime(25);
  }
}

test('the root', async () => {
  await lead('root', NOWHERE);
  vi.advanceTimersByTime(10_000);
  expect(told.splice(0)).toContain("/root: can't be watched");
  await lead('root', 'real');
  vi.advanceTimersByTime(10_000);
  expect(told).toEqual(expect.arrayContaining(['one', 'two', 'scanned']));
});

test('a subfolder, which keeps no other from being followed', async () => {
  await lead('real/one', NOWHERE);
  await until("/root/one: can't be watched");
  expect(told.splice(0)).not.toContain('two');
  await lead('real/one', '../elsewhere');
  await until('scanned');
  expect(told.splice(0)).not.toContain('two');
  await writeFile(join(folder, 'elsewhere/config'), '');
  await until('one/config');
});
