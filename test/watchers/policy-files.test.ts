import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { appendFile, chmod, link, mkdir, mkdtemp, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Watcher } from '../../watchers/events.ts';
import { isTemporaryName, watchPolicyFiles } from '../../watchers/policy-files.ts';
import { type EventLog, logEvents, quiet } from './event-log.ts';

// On a busy machine the kernel's events may take their time; each wait has its own deadline.
vi.setConfig({ testTimeout: 60_000 });

let base: string;
let folder: string;
let log: EventLog;
let watcher: Watcher;

beforeEach(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), 'routewall-policies-')));
  folder = join(base, 'routewall');
  log = logEvents();
  watcher = watchPolicyFiles(log.bus, { policyFolder: folder, configFile: join(folder, 'routewall.yaml') });
});
afterEach(async () => {
  await watcher.stop();
  await rm(base, { recursive: true, force: true });
});

const told = () => log.all('policyFileChanged').map(({ file }) => relative(folder, file));
const synced = () => log.all('synced').length;

async function start(): Promise<void> {
  await watcher.start();
  await log.until('synced', () => synced() > 0);
}

/** Making a file and writing to it are two changes: nothing of this process may come between. */
const save = async (path: string, text: string): Promise<void> => writeFileSync(path, text);

async function changes(file: string, change: (path: string) => Promise<unknown>): Promise<void> {
  log.told.splice(0);
  await change(join(folder, file));
  await log.until(`told of ${file}`, () => told().includes(file));
  await quiet();
  expect(told()).toEqual([file]);
}

async function fill(): Promise<void> {
  for (const sub of ['containers', 'profiles', 'sets']) await mkdir(join(folder, sub), { recursive: true });
  for (const file of [
    'containers/web.yaml',
    'profiles/base.yaml',
    'sets/mirrors.txt',
    'services.yaml',
    'routewall.yaml',
  ]) {
    await writeFile(join(folder, file), 'a');
  }
}

it('tells every file once before it is synced', async () => {
  await fill();
  await writeFile(join(folder, 'containers', '.web.yaml.swp'), '');
  await writeFile(join(folder, 'README'), '');
  await start();
  expect(log.told.at(-1)).toEqual({ event: 'synced', source: 'policy-files' });
  expect(told().sort()).toEqual([
    'containers/web.yaml',
    'profiles/base.yaml',
    'routewall.yaml',
    'services.yaml',
    'sets/mirrors.txt',
  ]);
});

it('tells once of each way in which a file changes', async () => {
  await fill();
  await start();
  await changes('containers/web.yaml', (path) => appendFile(path, 'b'));
  await changes('containers/web.yaml', (path) => chmod(path, 0o600));
  await changes('containers/web.yaml', async (path) => {
    await writeFile(`${path}~`, 'c');
    await rename(`${path}~`, path);
  });
  await changes('containers/web.yaml', (path) => appendFile(path, 'd'));
  await changes('containers/web.yaml', (path) => rm(path));
  await changes('containers/web.yaml', (path) => save(path, 'e'));
  await changes('services.yaml', (path) => appendFile(path, 'b'));
  await changes('routewall.yaml', (path) => appendFile(path, 'b'));
  await changes('sets/new.txt', (path) => save(path, '192.0.2.1'));
});

it('tells of a file that is changed through another name, and of one that is made anew', async () => {
  await fill();
  await start();
  const file = 'containers/web.yaml';
  const elsewhere = join(base, 'elsewhere');
  const throughAnotherName = async (path: string): Promise<void> => {
    await link(path, elsewhere);
    await quiet();
    log.told.splice(0);
    await appendFile(elsewhere, 'b');
    await rm(elsewhere);
  };
  await changes(file, throughAnotherName);
  await changes(file, (path) => rm(path));
  await changes(file, (path) => save(path, 'd'));
  await changes(file, throughAnotherName);
});

it('tells once of a file that is saved a hundred times in a row', async () => {
  await fill();
  await start();
  await changes('profiles/base.yaml', async (path) => {
    for (let i = 0; i < 100; i += 1) writeFileSync(path, String(i));
  });
});

it('tells of a thousand files that are written at once', async () => {
  await fill();
  await start();
  for (let i = 0; i < 1000; i += 1) writeFileSync(join(folder, 'containers', `c${i}.yaml`), 'a');
  await log.until('told of all', () => new Set(told()).size >= 1000);
});

it('waits for folders that do not exist yet', async () => {
  await start();
  expect(told()).toEqual([]);
  await mkdir(join(folder, 'containers'), { recursive: true });
  await writeFile(join(folder, 'containers', 'web.yaml'), 'a');
  await log.until('told of the new file', () => told().includes('containers/web.yaml'));
  await quiet();
  await mkdir(join(folder, 'sets'));
  await writeFile(join(folder, 'sets', 'a.txt'), 'a');
  await log.until('told of the new set', () => told().includes('sets/a.txt'));
  await quiet();
  await changes('containers/web.yaml', (path) => appendFile(path, 'b'));
});

it('tells of all files of a folder that is replaced at once, gone and new, and goes on listening', async () => {
  await fill();
  await start();
  log.told.splice(0);
  const containers = join(folder, 'containers');
  rmSync(containers, { recursive: true });
  mkdirSync(containers);
  writeFileSync(join(containers, 'mail.yaml'), 'a');
  await log.until(
    'told of both',
    () => told().includes('containers/mail.yaml') && told().includes('containers/web.yaml'),
  );
  await quiet();
  await changes('containers/mail.yaml', (path) => appendFile(path, 'b'));
});

it('tells of all files when the whole policy folder is moved away and another put in its place', async () => {
  await fill();
  await start();
  log.told.splice(0);
  await rename(folder, join(base, 'old'));
  await log.until('told that it went', () => told().includes('containers/web.yaml'));
  log.told.splice(0);
  await fill();
  await log.until('told that it came', () =>
    ['containers/web.yaml', 'routewall.yaml', 'services.yaml'].every((f) => told().includes(f)),
  );
  await quiet();
  await changes('containers/web.yaml', (path) => appendFile(path, 'b'));
});

it('tells of all files of a folder whose permissions change', async () => {
  await fill();
  await start();
  await changes('containers/web.yaml', () => chmod(join(folder, 'containers'), 0o700));
});

it('watches a main configuration file elsewhere', async () => {
  const configFile = join(base, 'etc', 'other.yaml');
  const other = watchPolicyFiles(log.bus, { policyFolder: folder, configFile });
  try {
    await fill();
    await mkdir(join(base, 'etc'));
    await other.start();
    await log.until('synced', () => synced() > 0);
    await writeFile(configFile, 'a');
    await log.until('told of it', () => told().includes(relative(folder, configFile)));
  } finally {
    await other.stop();
  }
});

it('tells of a linked policy whose target changes', async () => {
  await fill();
  const target = join(base, 'kept-elsewhere.yaml');
  const file = 'containers/linked.yaml';
  await writeFile(target, 'a');
  await symlink(target, join(folder, file));
  await start();
  await quiet();
  expect(told().filter((one) => one === file)).toEqual([file]);
  await changes(file, () => appendFile(target, 'b'));
  await rm(join(folder, file));
  await log.until('told of its end', () => told().length >= 2);
  await quiet();
  log.told.splice(0);
  await appendFile(target, 'c');
  await quiet();
  expect(log.told).toEqual([]);
});

it('goes on telling beside a link in a circle, and tells of that one too', async () => {
  await fill();
  await symlink('circle.yaml', join(folder, 'containers/circle.yaml'));
  await start();
  expect(told()).toContain('containers/circle.yaml');
  await changes('containers/web.yaml', (path) => save(path, 'b'));
  await changes('containers/loop.yaml', (path) => symlink('loop.yaml', path));
  await changes('containers/web.yaml', (path) => save(path, 'c'));
  await changes('containers/circle.yaml', async (path) => {
    writeFileSync(`${path}.new`, 'a');
    renameSync(`${path}.new`, path);
  });
  expect(log.all('watcherFailed')).toEqual([]);
});

it('follows a linked policy through the absence and replacement of its target', async () => {
  await fill();
  const target = join(base, 'kept-elsewhere.yaml');
  const file = 'containers/linked.yaml';
  await symlink(target, join(folder, file));
  await start();
  await changes(file, () => save(target, 'a'));
  await changes(file, async () => {
    await writeFile(`${target}.new`, 'b');
    await rename(`${target}.new`, target);
  });
  await changes(file, () => appendFile(target, 'c'));
  await changes(file, () => rm(target));
  await changes(file, () => save(target, 'd'));
});

it('follows a folder that is a link, also when it leads elsewhere', async () => {
  await fill();
  const [one, other] = [join(base, 'one'), join(base, 'other')];
  for (const kept of [one, other]) {
    await mkdir(kept);
    await writeFile(join(kept, 'web.yaml'), kept);
  }
  await rm(join(folder, 'containers'), { recursive: true });
  await symlink(one, join(folder, 'containers'));
  await start();
  await changes('containers/web.yaml', () => appendFile(join(one, 'web.yaml'), 'b'));
  await changes('containers/web.yaml', async () => {
    await symlink(other, join(folder, 'containers.new'));
    await rename(join(folder, 'containers.new'), join(folder, 'containers'));
  });
  await changes('containers/web.yaml', () => appendFile(join(other, 'web.yaml'), 'b'));
});

it('goes on listening after the whole policy folder was replaced at once many times in a row', async () => {
  await fill();
  await start();
  for (let i = 0; i < 20; i += 1) {
    rmSync(folder, { recursive: true });
    mkdirSync(join(folder, 'containers'), { recursive: true });
    for (const file of ['services.yaml', 'routewall.yaml', 'containers/web.yaml', `containers/c${i}.yaml`]) {
      writeFileSync(join(folder, file), 'a');
    }
    // Sometimes in the middle of its looking, sometimes between.
    await sleep(i * 3);
  }
  await log.until('told of the last', () => told().includes('containers/c19.yaml'));
  await quiet();
  await changes('containers/c19.yaml', (path) => appendFile(path, 'b'));
  await changes('services.yaml', (path) => appendFile(path, 'b'));
  await watcher.stop();
  await log.until('rid of every watch', () => !process.getActiveResourcesInfo().includes('FSEventWrap'));
});

it('tells of what changed while it was stopped when it is started again', async () => {
  await fill();
  await start();
  await watcher.stop();
  await writeFile(join(folder, 'containers', 'web.yaml'), 'b');
  log.told.splice(0);
  await start();
  expect(told()).toContain('containers/web.yaml');
  await changes('containers/web.yaml', (path) => appendFile(path, 'c'));
});

it('is silent after a stop', async () => {
  await fill();
  await start();
  await watcher.stop();
  await watcher.stop();
  log.told.splice(0);
  await appendFile(join(folder, 'containers', 'web.yaml'), 'b');
  await quiet();
  expect(log.told).toEqual([]);
});

describe('temporary names', () => {
  const temporary = [
    '.web.yaml.swp',
    '.web.yaml.swx',
    'web.yaml~',
    '4913',
    '.#web.yaml',
    '#web.yaml#',
    'web.yaml.dpkg-new',
  ];
  it.each([...temporary, 'web.yaml.dpkg-tmp', '.hidden', 'web.yaml.swp', 'web.yaml.tmp'])('%s is one', (name) =>
    expect(isTemporaryName(name)).toBe(true),
  );
  it.each(['web.yaml', '_default.yaml', 'a#b.yaml', 'mirrors.txt', 'swp.json', '49130'])('%s is none', (name) =>
    expect(isTemporaryName(name)).toBe(false),
  );
});
