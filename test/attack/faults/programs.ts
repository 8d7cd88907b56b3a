/** The daemon, its children, an nft that is killed, paused, slow, failing, missing, lying or silent for ever, and an ip that is. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive, kill } from '../../../sandbox/sweep.ts';
import { childrenOf, commandOf } from '../processes.ts';
import { NFT_MODES } from '../tools.ts';
import type { World } from '../world.ts';
import { start } from './containers.ts';
import { type Fault, type Faults, pick, says } from './fault.ts';
import { edit } from './policies.ts';

const nftChild = ({ routewall }: World): number | undefined =>
  childrenOf(routewall.daemon.child().pid).find((pid) => /^nft -i$/.test(commandOf(pid)));

/** The one that runs now is another. */
export async function restart({ routewall: { daemon } }: World, signal: NodeJS.Signals = 'SIGKILL'): Promise<boolean> {
  const before = daemon.child().pid;
  await daemon.restart(signal);
  return daemon.child().pid !== before;
}

const pause = (pid: number | undefined): boolean => {
  if (pid !== undefined) kill(pid, 'SIGSTOP');
  return pid !== undefined;
};

const killDaemonWhileItWorks: Fault = async (world, dice) => {
  await Promise.all([edit(world, dice), start(world, dice), sleep(dice(40))]);
  return await restart(world);
};

const NFT_COMPLAINTS = /nft|no answer|tables/;

/** What passes read, as words of `ip`. */
const READINGS = ['*address*show*', '*route*show*', '*neigh*show*proxy*', '*link*show*'];

/** Some of it hangs, fails or dies, while there is something to be read. */
const readingsFail: Fault = async (world, dice) => {
  const { host } = world.routewall.bed;
  const mode = { words: pick(dice, READINGS), does: pick(dice, ['hang', 'fail', 'kill'] as const) };
  const misbehave = async (): Promise<void> => {
    await world.tools.setIp(mode);
    await host.run('ip', ['address', 'add', '203.0.113.34/28', 'dev', 'eth0']);
    await host.runForResult('nft', ['insert rule inet routewall forward_from counter']);
    await Promise.all([edit(world, dice), start(world, dice), sleep(dice(2_000))]);
    await host.run('ip', ['address', 'del', '203.0.113.34/28', 'dev', 'eth0']);
  };
  const bites = await says(world, /again in \d+ ms/, misbehave, 500);
  await world.tools.setIp();
  return bites;
};

export const PROGRAM_FAULTS: Faults = {
  killDaemon: [3, (world) => restart(world)],
  endDaemon: [1, (world) => restart(world, 'SIGTERM')],
  killDaemonWhileItWorks: [3, killDaemonWhileItWorks],
  hangup: [
    1,
    (world) =>
      says(world, /reading everything again/, async () => world.routewall.daemon.child().signal('SIGHUP'), 1_000),
  ],
  killNft: [
    2,
    async (world, dice) => {
      const pid = nftChild(world);
      await edit(world, dice);
      await sleep(dice(10));
      if (pid !== undefined) kill(pid);
      return pid !== undefined;
    },
  ],
  pauseNft: [
    2,
    async (world, dice) => {
      const pid = nftChild(world);
      const bites = pause(pid);
      await edit(world, dice);
      await sleep(dice(200));
      if (pid !== undefined) kill(pid, 'SIGCONT');
      return bites;
    },
  ],
  killDaemonWithNftPaused: [
    2,
    async (world, dice) => {
      const pid = nftChild(world);
      const bites = pause(pid);
      await Promise.all([edit(world, dice), start(world, dice), sleep(50 + dice(100))]);
      await restart(world);
      // Now it does what the dead daemon wanted.
      if (pid !== undefined && isAlive(pid)) kill(pid, 'SIGCONT');
      return bites;
    },
  ],
  nftMisbehaves: [
    3,
    async (world, dice) => {
      const misbehave = async (): Promise<void> => {
        await world.tools.setNft(pick(dice, NFT_MODES));
        const pid = nftChild(world);
        if (pid !== undefined && dice(2) === 0) kill(pid);
        await Promise.all([edit(world, dice), start(world, dice)]);
        await sleep(dice(300));
      };
      const bites = await says(world, NFT_COMPLAINTS, misbehave, 500);
      await world.tools.setNft('real');
      return bites;
    },
  ],
  /** Longer than anyone waits for it; the waiting is cut short. */
  nftHangs: [
    1,
    async (world, dice) => {
      const slow = await world.clock.hurry();
      await world.tools.setNft('hanging');
      const pid = nftChild(world);
      if (pid !== undefined) kill(pid);
      const bites = await says(
        world,
        /nothing within|timed out|not known|no answer/,
        () => Promise.all([edit(world, dice), start(world, dice)]),
        4_000,
      );
      await world.tools.setNft('real');
      await slow();
      return bites;
    },
  ],
  readingsFail: [2, readingsFail],
  killAllChildren: [
    2,
    async ({ routewall: { daemon } }) => {
      const children = childrenOf(daemon.child().pid);
      for (const pid of children) kill(pid);
      return children.length > 0;
    },
  ],
};
