import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import {
  appendFile,
  chmod,
  mkdir,
  mkdtemp,
  realpath,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type LxcFoldersWatcher, watchLxcFolders } from '../../watchers/lxc-folders.ts';
import { type EventLog, logEvents, quiet } from './event-log.ts';

// On a busy machine the kernel's events may take their time; each wait has its own deadline.
vi.setConfig({ testTimeout: 60_000 });

let base: string;
let lxcPath: string;
let log: EventLog;
let watcher: LxcFoldersWatcher;

beforeEach(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), 'routewall-folders-')));
  lxcPath = join(base, 'lxc');
  log = logEvents();
  watcher = watchLxcFolders(log.bus, { lxcPaths: [lxcPath] });
});
afterEach(async () => {
  await watcher.stop();
  await rm(base, { recursive: true, force: true });
});

async function addContainer(name: string): Promise<string> {
  await mkdir(join(lxcPath, name, 'rootfs', 'etc'), { recursive: true });
  await writeFile(join(lxcPath, name, 'config'), 'lxc.uts.name = c\n');
  return join(lxcPath, name, 'config');
}

const told = () => log.all('containerConfigChanged').map(({ name }) => name);
const forget = () => log.told.splice(0);
const synced = () => log.all('synced').length;

async function startWith(...names: string[]): Promise<void> {
  for (const name of names) await addContainer(name);
  await watcher.start();
  await log.until('synced', () => synced() > 0);
  forget();
}

/** Runs the change and waits for its event; exactly one event. */
async function changes(name: string, change: () => Promise<unknown>): Promise<void> {
  forget();
  await change();
  await log.until(`told of ${name}`, () => told().includes(name));
  await quiet();
  expect(new Set(told())).toEqual(new Set([name]));
}

it('tells every container once before it is synced', async () => {
  await addContainer('web');
  await addContainer('mail');
  await mkdir(join(lxcPath, 'lost+found'));
  await watcher.start();
  await log.until('synced', () => synced() > 0);
  expect(log.told.map((one) => one.event)).toEqual(['containerConfigChanged', 'containerConfigChanged', 'synced']);
  expect(log.all('containerConfigChanged')[0]?.lxcPath).toBe(lxcPath);
  expect(told().sort()).toEqual(['mail', 'web']);
});

it('tells of each way in which a configuration changes', async () => {
  await startWith('web', 'other');
  const config = join(lxcPath, 'web', 'config');
  const replace = async (text: string) => {
    await writeFile(`${config}.new`, text);
    await rename(`${config}.new`, config);
  };
  const replaceWithOldTimes = async () => {
    const { atime, mtime } = await stat(config);
    await writeFile(`${config}.new`, 'c');
    await utimes(`${config}.new`, atime, mtime);
    await rename(`${config}.new`, config);
  };
  await changes('web', () => appendFile(config, '# more\n'));
  await changes('web', () => replace('a'));
  await changes('web', () => replace('b'));
  await changes('web', replaceWithOldTimes);
  await changes('web', () => appendFile(config, '# more\n'));
  await changes('web', () => chmod(config, 0o600));
  await changes('web', () => rm(config));
  await changes('web', () => writeFile(config, 'new'));
  await changes('web', () => rm(join(lxcPath, 'web'), { recursive: true }));
  await changes('web', () => addContainer('web'));
  await changes('web', () => appendFile(config, '# more\n'));
});

it('goes on listening to a folder that was removed and made again at once', async () => {
  await startWith('web');
  await changes('web', async () => {
    rmSync(join(lxcPath, 'web'), { recursive: true });
    mkdirSync(join(lxcPath, 'web'));
    writeFileSync(join(lxcPath, 'web', 'config'), 'a');
  });
  await changes('web', () => appendFile(join(lxcPath, 'web', 'config'), 'b'));
});

it('follows a container that is renamed, and one that is a symbolic link', async () => {
  await startWith('web');
  await rename(join(lxcPath, 'web'), join(lxcPath, 'www'));
  await log.until('told of both names', () => told().includes('web') && told().includes('www'));
  await changes('www', () => appendFile(join(lxcPath, 'www', 'config'), 'b'));
  await mkdir(join(base, 'elsewhere'));
  await writeFile(join(base, 'elsewhere', 'config'), 'a');
  await changes('linked', () => symlink(join(base, 'elsewhere'), join(lxcPath, 'linked')));
  await changes('linked', () => appendFile(join(base, 'elsewhere', 'config'), 'b'));
});

it('is silent about logs, root file systems and other files beside the configuration', async () => {
  await startWith('web');
  for (let i = 0; i < 200; i += 1) await appendFile(join(lxcPath, 'web', 'web.log'), 'line\n');
  await writeFile(join(lxcPath, 'web', 'rootfs', 'etc', 'config'), '');
  await writeFile(join(lxcPath, 'web', 'rootfs', 'config'), '');
  await mkdir(join(lxcPath, '.hidden'));
  await quiet();
  expect(log.told).toEqual([]);
});

it('turns a burst of edits into one event for each container', async () => {
  const names = Array.from({ length: 20 }, (_, at) => `c${at}`);
  await startWith(...names);
  for (let i = 0; i < 1000; i += 1) writeFileSync(join(lxcPath, `c${i % 20}`, 'config'), String(i));
  await log.until('told of all', () => new Set(told()).size === 20);
  await quiet();
  expect(told()).toHaveLength(20);
});

it('sees a thousand new containers', async () => {
  await startWith();
  mkdirSync(lxcPath, { recursive: true });
  for (let i = 0; i < 1000; i += 1) {
    mkdirSync(join(lxcPath, `c${i}`));
    writeFileSync(join(lxcPath, `c${i}`, 'config'), '');
  }
  await log.until('told of all', () => new Set(told()).size === 1000);
});

it('waits for an LXC path that does not exist yet, and survives its replacement', async () => {
  await watcher.start();
  await log.until('synced', () => synced() === 1);
  expect(told()).toEqual([]);
  await addContainer('web');
  await log.until('told of the new one', () => told().includes('web') && synced() >= 2);
  forget();
  await rename(lxcPath, join(base, 'old'));
  await log.until('told that it went', () => told().includes('web'));
  forget();
  await addContainer('mail');
  await log.until('told of the other', () => told().includes('mail') && synced() >= 1);
  await quiet();
  await changes('mail', () => appendFile(join(lxcPath, 'mail', 'config'), 'b'));
});

it('watches one folder for each container and nothing below', async () => {
  await startWith('a', 'b', 'c');
  const watches = readdirSync('/proc/self/fdinfo').flatMap((fd) => {
    try {
      return readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8').match(/^inotify .*$/gm) ?? [];
    } catch {
      return [];
    }
  });
  const inode = async (path: string) => (await stat(path)).ino.toString(16);
  const watched = watches.map((line) => /ino:([0-9a-f]+)/.exec(line)?.[1]);
  expect(watched).toContain(await inode(join(lxcPath, 'a')));
  expect(watched).not.toContain(await inode(join(lxcPath, 'a', 'rootfs')));
  expect(watched).not.toContain(await inode(join(lxcPath, 'a', 'config')));
});

it('tells nothing after a stop, and all again after a start', async () => {
  await startWith('web');
  await watcher.stop();
  await watcher.stop();
  await appendFile(join(lxcPath, 'web', 'config'), 'x');
  await quiet();
  expect(log.told).toEqual([]);
  await watcher.start();
  await log.until('synced', () => synced() === 1);
  expect(told()).toEqual(['web']);
});
