/** Changes of queueing disciplines, classes and filters in this network namespace, as `tc monitor` tells of them. */
import type { HostEventBus, Watcher } from './events.ts';
import type { Backoff } from './line-process.ts';
import { monitorProcess } from './monitor-process.ts';
import { parseNetlinkSockets, readNetTable, readSocketInodes } from './proc-sockets.ts';

/** The interface that a line of `tc monitor` is about; lines that go on with what stands before name none. */
export const parseTcMonitorLine = (line: string): string | undefined =>
  /^(?:\S+ )?(?:qdisc|class|filter|chain) (?:.*? )??dev (\S+)/.exec(line)?.[1];

export interface TcMonitorOptions {
  readonly command?: string;
  readonly backoff?: Backoff;
}

export function watchTcMonitor(bus: HostEventBus, options: TcMonitorOptions = {}): Watcher {
  const child = monitorProcess({
    command: options.command ?? 'tc',
    args: ['monitor'],
    ...(options.backoff && { backoff: options.backoff }),
    isSubscribed,
    onSubscribed: () => bus.emit('synced', { source: 'tc-monitor' }),
    onLine: (line) => {
      const dev = parseTcMonitorLine(line);
      if (dev !== undefined) bus.emit('trafficChanged', { dev });
    },
    onErrorLine: (line) => {
      // tc goes on after a full receive buffer, and what it missed is lost.
      if (line.startsWith('netlink receive error')) child.fail(new Error(`tc monitor: ${line}`));
    },
    onFailure: (failure) => bus.emit('watcherFailed', { source: 'tc-monitor', ...failure }),
  });
  return { start: async () => child.start(), stop: () => child.stop() };
}

const NETLINK_ROUTE = 0;
/** RTNLGRP_TC, as a bit. */
const GROUP = 0x8;

async function isSubscribed(pid: number): Promise<boolean> {
  const [inodes, table] = await Promise.all([readSocketInodes(pid), readNetTable(pid, 'netlink')]);
  return parseNetlinkSockets(table).some(
    ({ protocol, groups, inode }) => protocol === NETLINK_ROUTE && inodes.has(inode) && (groups & GROUP) !== 0,
  );
}
