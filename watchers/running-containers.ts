/** Which containers run, without asking each of them: a running one listens on its command socket. */
import { commandSocketNames, plainLxcPath } from './lxc-socket-names.ts';
import { parseUnixSockets, readProcFile } from './proc-sockets.ts';

export interface ContainerId {
  /** As it was given, without trailing slashes. */
  readonly lxcPath: string;
  readonly name: string;
}

export interface RunningContainer extends ContainerId {
  /** A new one on every start. */
  readonly socketInode: number;
}

/**
 * The containers of those LXC paths that run in this network namespace's view. LXC hashes names that are too long for a
 * socket, so these are found only if they are among `candidates`. Any local user could bind such a name: it is a hint
 * where to look, not a proof.
 */
export async function readRunningContainers(
  lxcPaths: readonly string[],
  candidates: Iterable<ContainerId> = [],
): Promise<RunningContainer[]> {
  return parseRunningContainers(await readProcFile('/proc/self/net/unix'), lxcPaths, candidates);
}

/** `text` is /proc/net/unix. Sorted as there, one entry per container. */
export function parseRunningContainers(
  text: string,
  lxcPaths: readonly string[],
  candidates: Iterable<ContainerId> = [],
): RunningContainer[] {
  const paths = lxcPaths.map(plainLxcPath);
  const hashed = hashedNames(candidates);
  const found = new Map<string, RunningContainer>();
  for (const { abstractName, listening, inode } of parseUnixSockets(text)) {
    if (!listening || !abstractName.endsWith('/command')) continue;
    const id = hashed.get(abstractName) ?? idOf(abstractName, paths);
    if (id !== undefined) found.set(`${id.lxcPath}/${id.name}`, { ...id, socketInode: inode });
  }
  return [...found.values()];
}

function hashedNames(candidates: Iterable<ContainerId>): Map<string, ContainerId> {
  const names = new Map<string, ContainerId>();
  for (const { lxcPath, name } of candidates) {
    const id = { lxcPath: plainLxcPath(lxcPath), name };
    for (const hashed of commandSocketNames(id.lxcPath, name).slice(1)) names.set(hashed, id);
  }
  return names;
}

function idOf(socketName: string, lxcPaths: readonly string[]): ContainerId | undefined {
  const path = socketName.slice(0, -'/command'.length);
  const slash = path.lastIndexOf('/');
  const lxcPath = path.slice(0, slash);
  const name = path.slice(slash + 1);
  return name !== '' && lxcPaths.includes(lxcPath) ? { lxcPath, name } : undefined;
}
