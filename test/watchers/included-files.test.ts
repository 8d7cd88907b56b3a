import { mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { appendFile, chmod, mkdir, mkdtemp, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type LxcFoldersWatcher, watchLxcFolders } from '../../watchers/lxc-folders.ts';
import { type EventLog, logEvents, quiet } from './event-log.ts';

// On a busy machine the kernel's events may take their time; each wait has its own deadline.
vi.setConfig({ testTimeout: 60_000 });

let base: string;
let lxcPath: string;
let shared: string;
let log: EventLog;
let watcher: LxcFoldersWatcher;

beforeEach(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), 'routewall-includes-')));
  lxcPath = join(base, 'lxc');
  shared = join(base, 'share', 'common.conf');
  await mkdir(join(base, 'share', 'common.conf.d'), { recursive: true });
  await mkdir(lxcPath);
  await writeFile(shared, 'a');
  log = logEvents();
  watcher = watchLxcFolders(log.bus, { lxcPaths: [lxcPath] });
  await watcher.start();
});
afterEach(async () => {
  await watcher.stop();
  await rm(base, { recursive: true, force: true });
});

const told = () => log.all('containerConfigChanged').map(({ name }) => name);
const include = (name: string, ...files: string[]) => watcher.setIncludes({ lxcPath, name }, files);

/** A file that changed just before it was asked for is told of once it is watched: the event to begin with. */
async function listening(...names: string[]): Promise<void> {
  await log.until(`listening for ${names}`, () => names.every((name) => told().includes(name)));
  await quiet();
}

async function changes(names: readonly string[], change: () => Promise<unknown>): Promise<void> {
  log.told.splice(0);
  await change();
  await log.until(`told of ${names}`, () => names.every((name) => told().includes(name)));
  await quiet();
  expect(new Set(told())).toEqual(new Set(names));
}

it('tells all containers that include a file of each way in which it changes', async () => {
  include('web', shared);
  include('mail', shared);
  await listening('web', 'mail');
  const both = ['web', 'mail'];
  await changes(both, () => appendFile(shared, 'b'));
  await changes(both, async () => {
    await writeFile(`${shared}.new`, 'c');
    await rename(`${shared}.new`, shared);
  });
  await changes(both, () => appendFile(shared, 'd'));
  await changes(both, () => chmod(shared, 0o600));
  await changes(both, () => rm(shared));
  await changes(both, () => writeFile(shared, 'e'));
  await changes(both, () => appendFile(shared, 'f'));
});

it('tells of files in an included folder, also after the folder was replaced at once', async () => {
  const folder = join(base, 'share', 'common.conf.d');
  include('web', folder);
  await listening('web');
  await changes(['web'], () => writeFile(join(folder, '00.conf'), 'a'));
  await changes(['web'], () => appendFile(join(folder, '00.conf'), 'b'));
  await changes(['web'], async () => {
    rmSync(folder, { recursive: true });
    mkdirSync(folder);
    writeFileSync(join(folder, '01.conf'), 'a');
  });
  await changes(['web'], () => appendFile(join(folder, '01.conf'), 'b'));
  await changes(['web'], () => rm(folder, { recursive: true }));
});

it('waits for an included file whose folder does not exist yet', async () => {
  const later = join(base, 'later', 'deep', 'x.conf');
  include('web', later);
  await quiet();
  await changes(['web'], async () => {
    mkdirSync(join(base, 'later', 'deep'), { recursive: true });
    writeFileSync(later, 'a');
  });
  await changes(['web'], () => appendFile(later, 'b'));
});

it('stops telling whoever includes a file no longer, and takes the same set again for nothing', async () => {
  include('web', shared);
  include('mail', shared);
  await listening('web', 'mail');
  include('web', shared);
  include('mail');
  await quiet();
  await changes(['web'], () => appendFile(shared, 'b'));
  include('web');
  log.told.splice(0);
  await appendFile(shared, 'c');
  await quiet();
  expect(log.told).toEqual([]);
});

it('follows a link to the file that it leads to', async () => {
  const link = join(base, 'link.conf');
  await symlink(shared, link);
  include('web', link);
  await listening('web');
  await changes(['web'], () => appendFile(shared, 'b'));
  await changes(['web'], async () => {
    await writeFile(`${shared}.other`, 'c');
    await symlink(`${shared}.other`, `${link}.new`);
    await rename(`${link}.new`, link);
  });
  await changes(['web'], () => appendFile(`${shared}.other`, 'd'));
});

it('is silent about what lies beside an included file', async () => {
  const old = new Date(2020, 1, 1);
  utimesSync(shared, old, old);
  include('web', shared, join(base, 'share', 'missing.conf'));
  await listening('web');
  log.told.splice(0);
  for (let i = 0; i < 50; i += 1) await appendFile(join(base, 'share', 'other.log'), 'line');
  await quiet();
  expect(log.told).toEqual([]);
});
