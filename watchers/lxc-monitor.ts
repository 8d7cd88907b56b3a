/** What becomes of containers, as `lxc-monitor` tells it, one child for each LXC path. */
import type { ContainerState, HostEventBus, Watcher } from './events.ts';
import type { Backoff, LineProcess } from './line-process.ts';
import { monitorSocketName, plainLxcPath } from './lxc-socket-names.ts';
import { monitorProcess } from './monitor-process.ts';
import { parseUnixSockets, readNetTable, readSocketInodes } from './proc-sockets.ts';

const STATES: readonly ContainerState[] = [
  'STARTING',
  'RUNNING',
  'STOPPING',
  'STOPPED',
  'ABORTING',
  'FREEZING',
  'FROZEN',
  'THAWED',
];

export interface LxcMonitorLine {
  readonly name: string;
  readonly state: ContainerState | 'EXITED';
}

// Greedy: a container's name may itself hold quotes, brackets and these very words.
const CHANGED = /^'(.+)' changed state to \[([A-Z]+)\]$/;
const EXITED = /^'(.+)' exited with status \[-?\d+\]$/;

/** Parses one line of `lxc-monitor`; `undefined` for any other text, such as the rest of a name with a line break. */
export function parseLxcMonitorLine(line: string): LxcMonitorLine | undefined {
  const [, exited] = EXITED.exec(line) ?? [];
  if (exited !== undefined) return { name: exited, state: 'EXITED' };
  const [, name, word] = CHANGED.exec(line) ?? [];
  const state = STATES.find((known) => known === word);
  return name === undefined || state === undefined ? undefined : { name, state };
}

export interface LxcMonitorOptions {
  readonly lxcPaths: readonly string[];
  readonly command?: string;
  readonly backoff?: Backoff;
}

/**
 * `synced` comes when all paths are subscribed, and again after any of them had to be. An lxc-monitord that lxc-monitor
 * had to start outlives `stop` by up to 30 s and then ends by itself; asking it to quit would cut off others' monitors.
 */
export function watchLxcMonitor(bus: HostEventBus, options: LxcMonitorOptions): Watcher {
  const lxcPaths = [...new Set(options.lxcPaths.map(plainLxcPath))];
  const subscribed = new Set<string>();
  const children = lxcPaths.map((lxcPath) =>
    monitorPath(bus, lxcPath, options, (isSubscribed) => {
      if (!isSubscribed) subscribed.delete(lxcPath);
      else subscribed.add(lxcPath);
      if (isSubscribed && subscribed.size === lxcPaths.length) bus.emit('synced', { source: 'lxc-monitor' });
    }),
  );
  return {
    start: async () => {
      for (const child of children) child.start();
      if (children.length === 0) bus.emit('synced', { source: 'lxc-monitor' });
    },
    stop: async () => {
      await Promise.all(children.map((child) => child.stop()));
    },
  };
}

function monitorPath(
  bus: HostEventBus,
  lxcPath: string,
  { command = 'lxc-monitor', backoff }: LxcMonitorOptions,
  setSubscribed: (isSubscribed: boolean) => void,
): LineProcess {
  const lastStates = new Map<string, string>();
  return monitorProcess({
    command,
    args: ['-P', lxcPath, '-n', '.*'],
    ...(backoff && { backoff }),
    isSubscribed: (pid) => isSubscribed(pid, lxcPath),
    onStart: () => {
      lastStates.clear();
      setSubscribed(false);
    },
    onSubscribed: () => setSubscribed(true),
    onLine: (line) => {
      const parsed = parseLxcMonitorLine(line);
      // LXC tells FROZEN, THAWED and ABORTING twice.
      if (parsed === undefined || lastStates.get(parsed.name) === parsed.state) return;
      if (parsed.state === 'STOPPED') lastStates.delete(parsed.name);
      else lastStates.set(parsed.name, parsed.state);
      bus.emit('containerStateChanged', { lxcPath, ...parsed });
    },
    onFailure: (failure) => {
      setSubscribed(false);
      bus.emit('watcherFailed', { source: 'lxc-monitor', ...failure });
    },
  });
}

/**
 * lxc-monitor says nothing when it begins to listen. It listens once its socket is connected and lxc-monitord has
 * accepted: before that, a state may pass through lxc-monitord without reaching this client.
 */
async function isSubscribed(pid: number, lxcPath: string): Promise<boolean> {
  const [inodes, table] = await Promise.all([readSocketInodes(pid), readNetTable(pid, 'unix')]);
  const sockets = parseUnixSockets(table);
  const server = sockets.filter(({ abstractName }) => abstractName === monitorSocketName(lxcPath));
  return (
    sockets.some(({ inode, connected }) => connected && inodes.has(inode)) &&
    server.some(({ connected }) => connected) &&
    !server.some(({ pending }) => pending)
  );
}
