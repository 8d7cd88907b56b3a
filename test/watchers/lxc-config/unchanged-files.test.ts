/** What a resync saves: a configuration whose files are the same isn't read. That it sees others is tested beside its reader. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { parseLxcConfig } from '../../../watchers/lxc-config/parse-config.ts';
import { realFiles } from '../../../watchers/lxc-config/real-files.ts';
import { ReadFrom, SeenFiles } from '../../../watchers/lxc-config/unchanged-files.ts';

test('only what was settled when it was read is known to be the same', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'routewall-unchanged-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'config');
  await writeFile(file, `lxc.include = ${folder}/missing/\n`);
  const read = () => {
    const from = new ReadFrom();
    parseLxcConfig(file, from.noting(realFiles, new SeenFiles()));
    return from;
  };
  const fresh = read();
  await setTimeout(40);
  expect(fresh.isSame(new SeenFiles())).toBe(false);
  const settled = read();
  expect(settled.isSame(new SeenFiles())).toBe(true);
  await writeFile(join(folder, 'missing'), '');
  expect(settled.isSame(new SeenFiles())).toBe(false);
});

test('what could not be read is read again each time', async () => {
  const from = new ReadFrom();
  const failing = {
    ...realFiles,
    read: () => {
      throw new Error('broken disk');
    },
  };
  expect(() => from.noting(failing, new SeenFiles()).read('/')).toThrow('broken disk');
  expect(from.isSame(new SeenFiles())).toBe(false);
});
