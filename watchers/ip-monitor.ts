/** Links, addresses, routes and per-interface sysctls of this network namespace, as `ip monitor` tells of them. */
import type { HostEventBus, Watcher } from './events.ts';
import type { Backoff } from './line-process.ts';
import { monitorProcess } from './monitor-process.ts';
import { parseNetlinkSockets, readNetTable, readSocketInodes } from './proc-sockets.ts';

export type IpMonitorLine =
  | { readonly kind: 'link'; readonly index: number; readonly name: string; readonly deleted: boolean }
  | { readonly kind: 'address'; readonly index: number; readonly name: string; readonly deleted: boolean }
  | { readonly kind: 'sysctl'; readonly dev: string; readonly values: ReadonlyMap<string, string> }
  | {
      readonly kind: 'route';
      /** Several for a multipath route; empty where the route names none, as `blackhole`. */
      readonly devs: readonly string[];
      readonly protocol: string;
      readonly table: string;
      readonly isDefault: boolean;
      readonly deleted: boolean;
    }
  | { readonly kind: 'rule'; readonly protocol: string; readonly deleted: boolean };

// The kernel allows no slash, colon or white space in an interface's name.
const LINK = /^(\d+): ([^\s:]+?)(?:@([^\s:@]+))?: (<.*)$/;
const ADDRESS = /^(\d+): ([^\s:]+) +inet6? /;
const ROUTE_KEYS: readonly string[] = ['dev', 'proto', 'via', 'table', 'src', 'scope', 'metric', 'weight'];
/** `11937:\tfrom all fwmark 0x26000000/0x7f000000 lookup 11937 proto 119` */
const RULE = /^\d+:\s+(?:not )?from .*?(?: proto (\S+))?\s*$/;
const NETCONF = /^(inet6?|mpls) (\S+) (.*)$/;
/** As /proc/sys has them; what `ip` says of others stands for itself. */
const VALUES: ReadonlyMap<string, string> = new Map([
  ['on', '1'],
  ['off', '0'],
]);

/**
 * Parses one line of `ip -o monitor link address route rule netconf`. A line that is none of them is `undefined`.
 * Names in all but link lines come from ip's cache and may be an interface's name before it was renamed.
 */
export function parseIpMonitorLine(line: string): IpMonitorLine | undefined {
  const deleted = line.startsWith('Deleted ');
  const text = deleted ? line.slice('Deleted '.length) : line;
  const [, linkIndex, linkName, , detail] = LINK.exec(text) ?? [];
  if (linkName !== undefined && detail !== undefined) {
    // A port that leaves its bridge is `Deleted` too, from the bridge: only the link's own message knows its group.
    return { kind: 'link', index: Number(linkIndex), name: linkName, deleted: deleted && / group \S/.test(detail) };
  }
  const [, addressIndex, addressName] = ADDRESS.exec(text) ?? [];
  if (addressName !== undefined) return { kind: 'address', index: Number(addressIndex), name: addressName, deleted };
  const [, family = '', dev, settings = ''] = NETCONF.exec(text) ?? [];
  if (dev !== undefined) return { kind: 'sysctl', dev, values: parseSettings(family, dev, settings) };
  const rule = RULE.exec(text);
  if (rule !== null) return { kind: 'rule', protocol: rule[1] ?? '', deleted };
  return parseRoute(text, deleted);
}

/** `forwarding on rp_filter loose`, of a family and an interface */
function parseSettings(family: string, dev: string, settings: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const [, setting = '', value = ''] of settings.matchAll(/(\S+) (\S+)/g)) {
    const isProxy = setting === 'proxy_neigh';
    const name = isProxy ? (family === 'inet6' ? 'proxy_ndp' : 'proxy_arp') : setting;
    values.set(`net/${family === 'inet6' ? 'ipv6' : 'ipv4'}/conf/${dev}/${name}`, VALUES.get(value) ?? value);
  }
  return values;
}

function parseRoute(text: string, deleted: boolean): IpMonitorLine | undefined {
  const words = text.split(/[\s\\]+/);
  if (!words.slice(0, 2).some((word) => word === 'default' || /^[0-9a-f]*[.:][0-9a-f.:]*(?:\/\d+)?$/.test(word))) {
    return undefined;
  }
  const devs = new Set<string>();
  let protocol = '';
  let table = '';
  for (let at = 0; at < words.length; at += 1) {
    const key = words[at] ?? '';
    if (!ROUTE_KEYS.includes(key)) continue;
    // The value is skipped: an interface may be called as one of the keys.
    at += 1;
    if (key === 'dev') devs.add(words[at] ?? '');
    if (key === 'proto') protocol = words[at] ?? '';
    if (key === 'table') table = words[at] ?? '';
  }
  const isDefault = words.slice(0, 2).includes('default');
  return { kind: 'route', devs: [...devs], protocol, table, isDefault, deleted };
}

export interface IpMonitorOptions {
  readonly command?: string;
  readonly backoff?: Backoff;
}

/** Bytes; ten thousand containers that start at once tell some hundred thousand messages. */
const RECEIVE_BUFFER = String(16 * 1024 * 1024);
const ARGS = ['-rcvbuf', RECEIVE_BUFFER, '-o', 'monitor', 'link', 'address', 'route', 'rule', 'netconf'];

export function watchIpMonitor(bus: HostEventBus, options: IpMonitorOptions = {}): Watcher {
  const names = new Map<number, string>();
  const child = monitorProcess({
    command: options.command ?? 'ip',
    args: ARGS,
    ...(options.backoff && { backoff: options.backoff }),
    isSubscribed,
    onStart: () => names.clear(),
    onSubscribed: () => bus.emit('synced', { source: 'ip-monitor' }),
    onLine: (line) => {
      const parsed = parseIpMonitorLine(line);
      if (parsed !== undefined) tell(bus, parsed, names);
    },
    onErrorLine: (line) => {
      // ip goes on after a full receive buffer, and what it missed is lost.
      if (line.startsWith('netlink receive error')) child.fail(new Error(`ip monitor: ${line}`));
    },
    onFailure: (failure) => bus.emit('watcherFailed', { source: 'ip-monitor', ...failure }),
  });
  return { start: async () => child.start(), stop: () => child.stop() };
}

function tell(bus: HostEventBus, line: IpMonitorLine, names: Map<number, string>): void {
  switch (line.kind) {
    case 'link':
      tellLink(bus, line, names);
      break;
    case 'address':
      bus.emit('addressChanged', { dev: names.get(line.index) ?? line.name, deleted: line.deleted });
      break;
    case 'sysctl':
      bus.emit('sysctlChanged', { dev: line.dev, values: line.values });
      break;
    case 'route':
      for (const dev of line.devs.length === 0 ? [''] : line.devs) {
        const { protocol, table, isDefault, deleted } = line;
        bus.emit('routeChanged', { dev, protocol, table, isDefault, deleted });
      }
      break;
    case 'rule':
      bus.emit('ruleChanged', { protocol: line.protocol, deleted: line.deleted });
  }
}

/** A rename is told as one link with a new name: the old name is gone, which only the index shows. */
function tellLink(
  bus: HostEventBus,
  { index, name, deleted }: Extract<IpMonitorLine, { kind: 'link' }>,
  names: Map<number, string>,
): void {
  const before = names.get(index);
  if (before !== undefined && before !== name) bus.emit('linkChanged', { name: before, deleted: true });
  if (deleted) names.delete(index);
  else names.set(index, name);
  bus.emit('linkChanged', { name, deleted });
}

const NETLINK_ROUTE = 0;
/** RTNLGRP_ LINK, IPV4_IFADDR, IPV4_ROUTE, IPV4_RULE, IPV6_IFADDR, IPV6_ROUTE, IPV6_RULE, IPV4_NETCONF and IPV6_NETCONF, as bits. */
const GROUPS = 0x018405d1;

async function isSubscribed(pid: number): Promise<boolean> {
  const [inodes, table] = await Promise.all([readSocketInodes(pid), readNetTable(pid, 'netlink')]);
  return parseNetlinkSockets(table).some(
    ({ protocol, groups, inode }) => protocol === NETLINK_ROUTE && inodes.has(inode) && (groups & GROUPS) === GROUPS,
  );
}
