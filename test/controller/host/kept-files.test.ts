/** A file isn't read again while it is the same; whatever can make its content another one is seen without reading it. */
import { chmod, mkdir, mkdtemp, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { KeptFiles } from '../../../controller/host/kept-files.ts';
import { KnownContainers } from '../../../controller/host/known-containers.ts';
import { defaultConfig } from '../../../policies/config.ts';

/** Longer than two changes may leave the same time. */
const settle = () => setTimeout(40);

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'routewall-kept-files-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

/** The same size and times as before. */
async function overwrite(file: string, text: string): Promise<void> {
  const { atime, mtime } = await stat(file);
  await writeFile(file, text);
  await utimes(file, atime, mtime);
}

async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

test('policy files are read again when they are others, and only then', async () => {
  const folder = await makeFolder();
  const file = join(folder, 'containers', 'web.yaml');
  const draft = join(folder, 'draft');
  await mkdir(join(folder, 'containers'));
  const kept = new KeptFiles();
  const read = async () => (await kept.readAll(folder, true)).get('containers/web.yaml');
  const text = async () => String(await read());
  await writeFile(file, 'one');
  await settle();
  const first = await read();
  expect(await read()).toBe(first);
  await overwrite(file, 'two');
  // Twice within one tick of the clock.
  expect(await text()).toBe('two');
  await overwrite(file, 'six');
  expect(await text()).toBe('six');
  await settle();
  await replace(file, 'ten');
  expect(await text()).toBe('ten');
  await settle();
  expect(await read()).toBe(await read());
  await chmod(file, 0o666);
  expect(await text()).toContain('all can write to it');
  await chmod(file, 0o644);
  await settle();
  expect(await text()).toBe('ten');
  await chmod(join(folder, 'containers'), 0o777);
  expect(await text()).toContain('all can write to it');
  await chmod(join(folder, 'containers'), 0o755);
  expect(await text()).toBe('ten');
  await writeFile(draft, 'low');
  await rm(file);
  await symlink(draft, file);
  await settle();
  expect(await text()).toBe('low');
  await overwrite(draft, 'top');
  expect(await text()).toBe('top');
  await chmod(folder, 0o777);
  expect(await text()).toContain('not trusted');
  await rm(file);
  expect(await read()).toBeUndefined();
});

test('a configuration is read again when anything is another that it was read from', async () => {
  const folder = await makeFolder();
  const lxcPath = join(folder, 'lxc');
  const config = join(lxcPath, 'web', 'config');
  const parts = join(folder, 'parts');
  for (const made of [join(lxcPath, 'web'), parts, join(folder, 'a', 'b'), join(folder, 'c', 'd')])
    await mkdir(made, { recursive: true });
  const nameIs = (name: string) => `lxc.net.0.type = veth\nlxc.net.0.veth.pair = ${name}\n`;
  // By text `link/../common` is another file than the kernel takes it for.
  await symlink(join(folder, 'a', 'b'), join(folder, 'link'));
  await writeFile(join(folder, 'a', 'common'), nameIs('vone'));
  await writeFile(join(folder, 'c', 'common'), nameIs('vtwo'));
  const includes = `lxc.include = ${folder}/link/../common\nlxc.include = ${parts}/\n`;
  await writeFile(config, includes);
  const known = new KnownContainers({ ...defaultConfig, lxcPaths: [lxcPath] });
  const pair = () => {
    known.readTree();
    return [...known.byId.values()].map(({ lxc }) => lxc.nics[0]?.vethPair).join();
  };
  const steps: readonly (readonly [expected: string, change: () => Promise<unknown>])[] = [
    ['vone', async () => undefined],
    ['vsix', () => overwrite(join(folder, 'a', 'common'), nameIs('vsix'))],
    ['vten', () => overwrite(join(folder, 'a', 'common'), nameIs('vten'))],
    ['vtwo', () => rm(join(folder, 'link')).then(() => symlink(join(folder, 'c', 'd'), join(folder, 'link')))],
    ['vabc', () => writeFile(join(parts, 'more.conf'), nameIs('vabc'))],
    ['vxyz', () => replace(join(parts, 'more.conf'), nameIs('vxyz'))],
    ['vtwo', () => rm(join(parts, 'more.conf'))],
    ['', () => overwrite(config, includes.replaceAll('lxc.include', 'xxx.include'))],
    ['vtwo', () => replace(config, includes)],
    [
      'vdef',
      () =>
        rename(parts, `${parts}-old`)
          .then(() => mkdir(parts))
          .then(() => writeFile(join(parts, 'x.conf'), nameIs('vdef'))),
    ],
    ['', () => rm(join(lxcPath, 'web'), { recursive: true })],
  ];
  for (const [expected, change] of steps) {
    await change();
    expect(pair()).toBe(expected);
    await settle();
    expect(pair()).toBe(expected);
    expect(pair()).toBe(expected);
  }
});

test('a configuration that can be read no more, and one that can be again, are noticed', async () => {
  const folder = await makeFolder();
  const config = join(folder, 'web', 'config');
  const other = join(folder, 'other.conf');
  await mkdir(join(folder, 'web'));
  await writeFile(config, `lxc.include = ${other}\n`);
  const known = new KnownContainers({ ...defaultConfig, lxcPaths: [folder] });
  const problems = () => {
    known.readTree();
    return [...known.byId.values()].map(({ lxc }) => lxc.problems.length).join();
  };
  for (const round of [1, 2]) {
    await settle();
    expect(problems(), `${round}`).toBe('1');
    expect(problems()).toBe('1');
    await writeFile(other, '# nothing\n');
    await settle();
    expect(problems()).toBe('0');
    expect(problems()).toBe('0');
    await rm(other);
  }
});
