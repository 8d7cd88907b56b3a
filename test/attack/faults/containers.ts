/** Containers that start, stop, reboot and are killed, and LXC's own processes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { kill } from '../../../sandbox/sweep.ts';
import { commandOf } from '../processes.ts';
import { type Dice, type Fault, type Faults, pick } from './fault.ts';

/** One of those that can still change; of all where none can. */
function pickOf<T>(dice: Dice, list: readonly T[], isLeft: (one: T) => boolean): T {
  const left = list.filter(isLeft);
  return pick(dice, left.length === 0 ? list : left);
}

export const start: Fault = async ({ standIns }, dice) => {
  const name = pickOf(dice, standIns.names, (one) => !standIns.up.has(one));
  const isNew = !standIns.up.has(name);
  await standIns.start([name]);
  return isNew;
};

export const CONTAINER_FAULTS: Faults = {
  start: [6, start],
  stop: [
    4,
    async ({ standIns }, dice) => {
      const name = pickOf(dice, standIns.names, (one) => standIns.up.has(one));
      const ran = standIns.up.has(name);
      await standIns.stop([name]);
      return ran;
    },
  ],
  startReal: [
    4,
    async ({ real, realRunning }, dice) => {
      const one = pickOf(dice, [...real.values()], ({ name }) => !realRunning.has(name));
      if (realRunning.has(one.name)) return false;
      await one.start();
      realRunning.add(one.name);
      return true;
    },
  ],
  stopReal: [
    3,
    async ({ real, realRunning }, dice) => {
      const one = pickOf(dice, [...real.values()], ({ name }) => realRunning.has(name));
      const how = pick(dice, ['kill', 'shutdown'] as const);
      if (!realRunning.delete(one.name)) return false;
      await one.stop(how);
      return true;
    },
  ],
  reboot: [
    2,
    async ({ real, realRunning }, dice) => {
      const one = pickOf(dice, [...real.values()], ({ name }) => realRunning.has(name));
      if (!realRunning.has(one.name)) await one.start();
      realRunning.add(one.name);
      await one.reboot();
      return true;
    },
  ],
  /** LXC tells nobody of it, and then says that the container is stopped, whose init goes on. */
  killMonitor: [
    2,
    async ({ real, realRunning }, dice) => {
      const one = pickOf(dice, [...real.values()], ({ name }) => realRunning.has(name));
      if (!realRunning.delete(one.name)) return false;
      await one.killMonitor();
      await sleep(dice(300));
      await one.endOrphan();
      return true;
    },
  ],
  killMonitord: [
    2,
    async ({ routewall: { bed } }) => {
      const { stdout } = await bed.host.run('ip', ['netns', 'pids', bed.host.name]);
      const found = stdout
        .split('\n')
        .filter(Boolean)
        .map(Number)
        .filter((pid) => /lxc-monitord/.test(commandOf(pid)));
      for (const pid of found) kill(pid);
      return found.length > 0;
    },
  ],
};
