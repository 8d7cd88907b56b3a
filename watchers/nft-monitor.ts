/** Commits to this network namespace's nftables, as `nft monitor` tells of them. */
import type { HostEventBus, HostEvents, Watcher } from './events.ts';
import type { Backoff } from './line-process.ts';
import { monitorProcess } from './monitor-process.ts';
import { parseNetlinkSockets, readNetTable, readSocketInodes } from './proc-sockets.ts';

export type NftMonitorLine =
  /** `pid` 0 and an empty `process` where the kernel didn't say who. */
  | { readonly kind: 'generation'; readonly generation: number; readonly pid: number; readonly process: string }
  /** An object of one of our tables; `deletes`: the table itself goes. */
  | { readonly kind: 'ours'; readonly deletes: boolean }
  | { readonly kind: 'error'; readonly message: string };

// A process's name may hold anything, also a line break: the closing parenthesis need not be there.
const GENERATION = /^# new generation (\d+)(?: by process (\d+) \((.*?)\)?)?$/;
/** Anchored: comments and log prefixes in a rule may hold any text. */
const OURS = /^([a-z]+ [a-z]+) (?:inet|arp|bridge) routewall(?:_panic)?(?: |$)/;

/** Parses one line of `nft monitor`; the objects of others' tables are `undefined`. */
export function parseNftMonitorLine(line: string): NftMonitorLine | undefined {
  const [, what] = OURS.exec(line) ?? [];
  if (what !== undefined) return { kind: 'ours', deletes: what === 'delete table' };
  if (!line.startsWith('# ')) return undefined;
  const [, generation, pid = '0', process = ''] = GENERATION.exec(line) ?? [];
  if (generation !== undefined)
    return { kind: 'generation', generation: Number(generation), pid: Number(pid), process };
  return line.startsWith('# ERROR: ') ? { kind: 'error', message: line.slice('# ERROR: '.length) } : undefined;
}

type Commit = Parameters<HostEvents['rulesetCommitted']>[0];

export interface NftMonitorOptions {
  readonly command?: string;
  readonly backoff?: Backoff;
}

export function watchNftMonitor(bus: HostEventBus, options: NftMonitorOptions = {}): Watcher {
  // nft prints a transaction's objects first and its generation last.
  let touchesOurs = false;
  // With each deleted rule, nft's monitor forgets the named sets that the rule used; of their elements it then says
  // nothing but "W: Received event for an unknown set.", on the other stream.
  let tellsObjects = false;
  let deletesOurs = false;
  let last: Commit | undefined;
  const begin = (): void => {
    touchesOurs = false;
    tellsObjects = false;
    deletesOurs = false;
  };
  const child = monitorProcess({
    command: options.command ?? 'nft',
    // Numbers and no look-ups: the lines are thrown away, and a name service must not hold them up.
    args: ['-n', 'monitor'],
    ...(options.backoff && { backoff: options.backoff }),
    isSubscribed,
    onStart: begin,
    onSubscribed: () => bus.emit('synced', { source: 'nft-monitor' }),
    onLine: (line) => {
      const parsed = parseNftMonitorLine(line);
      if (parsed?.kind === 'ours') {
        touchesOurs = true;
        deletesOurs ||= parsed.deletes;
      }
      if (!line.startsWith('#')) tellsObjects = true;
      // nft goes on after a full receive buffer, and what it missed is lost.
      if (parsed?.kind === 'error') child.fail(new Error(`nft monitor: ${parsed.message}`));
      if (parsed?.kind !== 'generation') return;
      const { generation, pid, process } = parsed;
      const commit = { generation, pid, process, touchesOurs: touchesOurs || !tellsObjects, deletesOurs };
      begin();
      last = commit;
      bus.emit('rulesetCommitted', commit);
    },
    onErrorLine: (line) => {
      if (!line.startsWith('W: ')) return;
      touchesOurs = true;
      // It may come after the generation that it belongs to.
      if (last?.touchesOurs === false) bus.emit('rulesetCommitted', { ...last, touchesOurs });
      last = undefined;
    },
    onFailure: (failure) => bus.emit('watcherFailed', { source: 'nft-monitor', ...failure }),
  });
  return { start: async () => child.start(), stop: () => child.stop() };
}

const NETLINK_NETFILTER = 12;
/** NFNLGRP_NFTABLES, as a bit. */
const GROUP = 0x40;

async function isSubscribed(pid: number): Promise<boolean> {
  const [inodes, table] = await Promise.all([readSocketInodes(pid), readNetTable(pid, 'netlink')]);
  return parseNetlinkSockets(table).some(
    ({ protocol, groups, inode }) => protocol === NETLINK_NETFILTER && inodes.has(inode) && (groups & GROUP) !== 0,
  );
}
