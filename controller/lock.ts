/** One daemon per network namespace: an abstract socket, which the kernel scopes and frees with its owner. */
import { type StartTalker, startTalker, type Talker } from './commands/run.ts';
import { socketPath } from './control/socket-path.ts';
import { startHolder } from './lock-holder.ts';
import { messageOf } from './log.ts';
import { isServed } from './unix-socket.ts';

const NAME = 'routewall/daemon';
/** A process that held it and ended isn't started again before. */
const RESTART_MS = 1_000;

export interface Lock {
  release(): void;
}

export interface LockOptions {
  /** Told where a second daemon wouldn't be noticed, but for one of this run directory. */
  readonly warn: (message: string) => void;
  readonly start?: StartTalker;
}

/** @throws Error that says who holds it, or what keeps it from being taken. */
export async function takeLock(runDirectory: string, { warn, start = startTalker }: LockOptions): Promise<Lock> {
  let isReleased = false;
  let holder: Talker | undefined;

  /** @returns whether there is one that holds it. */
  const hold = async (): Promise<boolean> => {
    const { said, child } = await startHolder(start, NAME);
    const [how, who] = said;
    if (how === 'another') throw new Error(`another routewall daemon serves this network namespace, as process ${who}`);
    if (how === 'silent')
      throw new Error(`a process that does not answer holds the name of this network namespace's daemon (@${NAME})`);
    if (how === 'squatted') {
      // Anybody on the host can do that, and must not keep it without a daemon.
      warn(`user ${who} holds the name by which a second daemon is noticed (@${NAME})`);
      return false;
    }
    if (isReleased) child.kill();
    holder = child;
    child.onEnd(() => void setTimeout(holdAgain, RESTART_MS).unref());
    return true;
  };

  const holdAgain = (): void => {
    if (!isReleased) void hold().catch((cause: unknown) => warn(messageOf(cause)));
  };

  const isHeld = await hold();
  if (!isHeld && (await isServed(socketPath(runDirectory))))
    throw new Error(`another routewall daemon serves ${runDirectory}`);
  return {
    release: () => {
      isReleased = true;
      holder?.kill();
    },
  };
}
