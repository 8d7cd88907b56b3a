/** What the daemon lives on: its disk, its descriptors, its watches, its clock, and its bus. */
import type { Dirent } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../../sandbox/eventually.ts';
import { run } from '../../../sandbox/run.ts';
import { errorCode } from '../../../watchers/error-code.ts';
import type { World } from '../world.ts';
import { start } from './containers.ts';
import { type Faults, pick, says } from './fault.ts';
import { edit, goodEdit } from './policies.ts';
import { restart } from './programs.ts';

/** As Debian starts services. */
const FILES = 1024;

/** What the disk refused is written by the next pass, as each minute's resync makes one where there are any. */
const retry = (world: World): void => world.routewall.daemon.child().signal('SIGHUP');

/** Only what it must write is refused; it runs on. */
async function withFullDisk(world: World, meanwhile: () => Promise<unknown>): Promise<boolean> {
  const { stateFolder } = world;
  await run('dd', ['if=/dev/zero', `of=${stateFolder}/filler`, 'bs=64k', 'count=40']).catch(() => undefined);
  const bites = await says(world, /ENOSPC/, meanwhile, 2_000);
  await rm(join(stateFolder, 'filler'));
  retry(world);
  return bites;
}

const HOUR = 3_600;
const YEAR = 365 * 24 * HOUR;

/** The daemon goes on writing: what it has renamed or removed meanwhile is nobody's mistake. */
const ifGone =
  <T>(instead: T) =>
  (cause: unknown): T => {
    if (errorCode(cause) === 'ENOENT') return instead;
    throw cause;
  };

async function listAll(folder: string): Promise<Dirent[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true }).catch(ifGone(undefined));
  return found ?? (await listAll(folder));
}

export const HOST_FAULTS: Faults = {
  diskFull: [2, (world, dice) => withFullDisk(world, () => goodEdit(world, dice))],
  diskFullAtTheStart: [
    1,
    (world, dice) => withFullDisk(world, () => Promise.all([goodEdit(world, dice), restart(world)])),
  ],
  readOnlyState: [
    2,
    async (world, dice) => {
      // Not while something is being written.
      await eventually('the disk is read-only', () =>
        run('mount', ['-o', 'remount,ro', world.stateFolder]).then(() => true),
      );
      const restarts = dice(2) === 0;
      const bites = await says(
        world,
        /EROFS/,
        () => Promise.all([goodEdit(world, dice), restarts ? restart(world) : sleep(50)]),
        2_000,
      );
      await run('mount', ['-o', 'remount,rw', world.stateFolder]);
      // It began with a mount of its own, which stays read-only.
      if (restarts) await restart(world);
      else retry(world);
      return bites;
    },
  ],
  stateDamaged: [
    1,
    async (world, dice) => {
      let count = 0;
      for (const entry of await listAll(world.stateFolder)) {
        if (!entry.isFile() || !/[.](?:json|nft)$/.test(entry.name) || dice(2) === 0) continue;
        const text = pick(dice, ['', '{', '[]', '{"files":{"a":1}}', '\0']);
        count += await writeFile(join(entry.parentPath, entry.name), text).then(() => 1, ifGone(0));
      }
      await mkdir(join(world.stateFolder, 'last-good', 'folder.json'), { recursive: true });
      // Without its memory of what was confirmed it believes no file, and lets nothing pass, until somebody says so.
      const done = world.traffic.excuse('it was robbed of its memory', 'lost');
      await restart(world);
      // Files with errors are applied all the same, and told of.
      const { exitCode, stderr } = await world.routewall.cli('apply');
      if (exitCode > 1) throw new Error(`apply: ${stderr}`);
      await world.traffic.flows();
      done();
      return count > 0;
    },
  ],
  outOfFiles: [
    2,
    async (world, dice) => {
      const pid = String(world.routewall.daemon.child().pid);
      // Below what it holds already.
      await run('prlimit', ['--pid', pid, `--nofile=${10 + dice(20)}:`]);
      const meanwhile = (): Promise<unknown> =>
        Promise.all([goodEdit(world, dice), start(world, dice), sleep(dice(200))]);
      const bites = await says(world, /EMFILE/, meanwhile, 2_000);
      await run('prlimit', ['--pid', pid, `--nofile=${FILES}:`]);
      return bites;
    },
  ],
  /** As the kernel refuses what is beyond user.max_inotify_watches: what is watched stays so, nothing more is. */
  outOfWatches: [
    2,
    async (world, dice) => {
      const back = await world.clock.refuseWatches();
      const bites = await says(
        world,
        /can't be watched/,
        async () => {
          await restart(world);
          await Promise.all([edit(world, dice), start(world, dice)]);
        },
        200,
      );
      await back();
      return bites;
    },
  ],
  /** The daemon's own clock: the kernel's is every program's. Forth and back, and what ended meanwhile begins anew. */
  clockJumps: [
    3,
    async (world, dice) => {
      const seconds = pick(dice, [HOUR, -HOUR, 90 * YEAR, -20 * YEAR]);
      const back = await world.clock.jump(seconds);
      const year = new Date(Date.now() + seconds * 1000).toISOString().slice(0, Math.abs(seconds) > HOUR ? 4 : 13);
      const bites = await says(
        world,
        new RegExp(`^${year}`),
        async () => {
          const isNew = dice(3) === 0;
          if (isNew) await restart(world);
          else world.routewall.daemon.child().signal('SIGHUP');
          // What observes for years, seen from that time, is never good for a daemon that begins in it.
          await Promise.all([isNew ? goodEdit(world, dice) : edit(world, dice), start(world, dice)]);
        },
        500,
      );
      await back();
      return bites;
    },
  ],
  /** Down and back under the same address. */
  busGone: [
    2,
    async (world, dice) => {
      const bites = await says(world, /D-Bus: .*going on without it/, () => world.bus.stop(), 1_000);
      await Promise.all([edit(world, dice), start(world, dice), sleep(dice(150))]);
      await world.bus.start();
      return bites;
    },
  ],
};
