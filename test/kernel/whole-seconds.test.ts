/** A file system whose times are whole seconds, as ext4 with small inodes: a second change leaves the same time. */
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { KeptFiles } from '../../controller/host/kept-files.ts';
import { atEnd, cleanUp, makeFolder } from '../../sandbox/clean-up.ts';
import { run } from '../../sandbox/run.ts';

afterEach(cleanUp);

async function mountWholeSeconds(): Promise<string> {
  const [image, folder] = [join(await makeFolder(), 'image'), await makeFolder()];
  await run('truncate', ['-s', '8M', image]);
  await run('mkfs.ext4', ['-q', '-I', '128', image]);
  await run('mount', ['-o', 'loop', image, folder]);
  atEnd(`unmount ${folder}`, async () => void (await run('umount', [folder])));
  return folder;
}

test('a policy that changes twice within a second is read twice, and once it is older no more', async () => {
  const folder = await mountWholeSeconds();
  const file = join(folder, 'containers', 'web.yaml');
  await mkdir(join(folder, 'containers'));
  const kept = new KeptFiles();
  const read = async () => (await kept.readAll(folder, true)).get('containers/web.yaml');
  const write = async (text: string): Promise<bigint> => {
    await writeFile(file, text);
    return (await stat(file, { bigint: true })).ctimeNs;
  };
  // Both in one second, whose first moments are over.
  await sleep(1100 - (Date.now() % 1000));
  const first = await write('one');
  await sleep(100);
  expect(String(await read())).toBe('one');
  expect(await write('two')).toBe(first);
  expect(String(await read())).toBe('two');
  await sleep(2500);
  expect(await read()).toBe(await read());
});
