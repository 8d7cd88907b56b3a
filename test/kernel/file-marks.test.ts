/** Whatever a full reading of files would read gives another mark when it changes; what nobody reads doesn't. */

import { mkdir, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, it } from 'vitest';
import { type WatchedFiles, withoutRunning } from '../../controller/kernel/file-marks.ts';
import { type KernelMarks, openKernelMarks } from '../../controller/kernel/kernel-marks.ts';
import { atEnd, cleanUp, makeFolder } from '../../sandbox/clean-up.ts';
import { createNamespace, type Namespace } from '../../sandbox/namespace.ts';
import { startIn } from './namespace-commands.ts';

afterAll(cleanUp);

interface Bed {
  readonly host: Namespace;
  readonly folder: string;
  readonly marks: KernelMarks;
  read(): Promise<string | undefined>;
  /** Without the kernel's. */
  readAlone(): Promise<string | undefined>;
}

async function openBed(): Promise<Bed> {
  const [host, folder] = [await createNamespace('host'), await makeFolder()];
  const marks = openKernelMarks(startIn(host));
  atEnd('stop the marks', async () => marks.stop());
  for (const made of ['policies/containers', 'lxc/web', 'lxc/empty', 'elsewhere', 'a\nb'])
    await mkdir(`${folder}/${made}`, { recursive: true });
  for (const file of [
    'policies/containers/web.yaml',
    'lxc/web/config',
    'elsewhere/common.conf',
    'elsewhere/other',
    'a\nb/c',
  ])
    await writeFile(`${folder}/${file}`, 'one\n');
  const watched: WatchedFiles = {
    folders: [`${folder}/policies`, `${folder}/policies/containers`, `${folder}/policies/sets`],
    trees: [`${folder}/lxc`, `${folder}/missing`],
    paths: [`${folder}/elsewhere/common.conf`, `${folder}/elsewhere/missing`, `${folder}/a\nb/c`],
  };
  return {
    host,
    folder,
    marks,
    read: async () => (await marks.readPatiently(watched))?.files,
    readAlone: () => marks.readFiles(watched),
  };
}

/** What changed just now is told once it can't change unseen any more. */
async function settled({ read }: Bed): Promise<string> {
  for (let looks = 0; looks < 100; looks++) {
    const mark = await read();
    if (mark !== undefined) return mark;
    await sleep(100);
  }
  throw new Error('it never settles');
}

const sh = ({ host, folder }: Bed, command: string) => host.run('sh', ['-c', `cd ${folder}\n${command}`]);

it.concurrent.each([
  'echo two > policies/containers/web.yaml',
  'echo a line more >> policies/containers/web.yaml',
  'chmod 666 policies/containers/web.yaml',
  'rm policies/containers/web.yaml',
  'mv elsewhere/other policies/containers/web.yaml',
  'echo one > policies/containers/new.yaml',
  'echo one > policies/services.yaml',
  'mkdir policies/sets',
  'chmod 777 policies/containers',
  'mv policies/containers away; cp -a away policies/containers',
  'ln policies/containers/web.yaml elsewhere/link; echo two > elsewhere/link',
  'echo two > lxc/web/config',
  'rm lxc/web/config',
  'rm -r lxc/web',
  'echo one > lxc/empty/config',
  'mkdir missing missing/web; echo one > missing/web/config',
  'mv elsewhere/other lxc/web/config',
  'rm lxc/web/config; ln -s ../../elsewhere/other lxc/web/config',
  'mv lxc/web elsewhere; mkdir two; echo two > two/config; ln -s ../two lxc/web',
  'echo two > elsewhere/common.conf',
  'echo two > elsewhere/missing',
  'echo two > "a\nb/c"',
])('tells of `%s`', async (change) => {
  const bed = await openBed();
  const before = await settled(bed);
  expect(await settled(bed)).toBe(before);
  expect(await bed.readAlone()).toBe(before);
  await sh(bed, change);
  const after = await settled(bed);
  expect(withoutRunning(after)).not.toBe(withoutRunning(before));
});

it.concurrent('tells of what a link to a configuration leads to', async () => {
  const bed = await openBed();
  await sh(bed, 'rm lxc/web/config; ln -s ../../elsewhere/other lxc/web/config');
  const before = await settled(bed);
  await sh(bed, 'echo two > elsewhere/other');
  expect(await settled(bed)).not.toBe(before);
});

it.concurrent('tells of a container that begins to run, that stops, and that runs again', async () => {
  const bed = await openBed();
  const marks = [await settled(bed)];
  for (let round = 0; round < 2; round++) {
    // As an LXC monitor does, for a name with a line's end in it.
    const monitor = bed.host.spawn('perl', [
      '-e',
      `socket(my $s, 1, 1, 0); bind($s, pack('Sa*', 1, "\\0$ARGV[0]/a\\nb/command")) && listen($s, 1) or die; $| = 1; print "runs\\n"; sleep`,
      `${bed.folder}/lxc`,
    ]);
    await monitor.waitForLine(/runs/);
    marks.push(await settled(bed));
    await monitor.stop();
    marks.push(await settled(bed));
  }
  expect(new Set(marks).size).toBe(marks.length);
  // No file has changed.
  expect(new Set(marks.map(withoutRunning)).size).toBe(1);
});

it.concurrent('is certain of nothing that changed just now, nor of a policy that is a link', async () => {
  const bed = await openBed();
  await settled(bed);
  await sh(bed, 'echo two > policies/containers/web.yaml');
  expect(await bed.read()).toBeUndefined();
  await settled(bed);
  await sh(bed, 'ln -s ../../elsewhere/other policies/containers/new.yaml');
  await sleep(4500);
  expect(await bed.read()).toBeUndefined();
  expect((await bed.marks.read())?.kernel).toBeDefined();
});

it.concurrent('stays the same while others read, and write elsewhere', async () => {
  const bed = await openBed();
  const before = await settled(bed);
  await sh(bed, 'cat policies/containers/web.yaml; echo x > lxc/web/log; echo x > policies/containers/.web.yaml.swp');
  await sleep(3500);
  expect(await settled(bed)).toBe(before);
});
