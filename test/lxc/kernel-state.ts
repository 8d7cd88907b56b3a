/** What the kernel holds of routewall's, read without routewall's own code, and everything else as text. */
import { eventually } from '../../sandbox/eventually.ts';
import { fieldOf, listOf } from '../../sandbox/json.ts';
import type { Place } from '../../sandbox/place.ts';
import { readSnapshot } from '../../sandbox/snapshot.ts';

/** Comparable, also as JSON: everything sorted, without handles, counters and the elements of dynamic sets. */
export interface OwnState {
  /** `inet chain forward_from`, `inet set veths`, … with what they hold, one string each. */
  readonly tables: Readonly<Record<string, readonly string[]>>;
  /** `198.51.100.10 dev vethX` */
  readonly routes: readonly string[];
  readonly proxies: readonly string[];
  /** Addresses of full length and link scope: `169.254.0.1/32 dev vethX`. */
  readonly gateways: readonly string[];
}

/** A running container as a test knows it. */
export interface Expected {
  readonly veth: string;
  readonly addresses: readonly string[];
  /** Those of the addresses that lie on the uplink's own prefixes. */
  readonly proxied?: readonly string[];
}

/** One command for all: tests ask many times a second, and to start a process takes as long as what most of these do. */
const READ = `set -e
nft -j list table inet routewall 2>/dev/null || echo
nft -j list table arp routewall 2>/dev/null || echo
echo ==; ip -4 route show proto 119; ip -6 route show proto 119
echo ==; ip neigh show proxy
echo ==; ip -o address show scope link`;

export async function readOwnState(host: Place): Promise<OwnState> {
  const { stdout } = await host.run('sh', ['-c', READ]);
  const parts = stdout.split(/^==$/m).map((part) => part.split('\n').flatMap((line) => line.trim() || []));
  const [tables = [], routes = [], proxies = [], addresses = []] = parts;
  const devOf = (line: string): string => / dev (\S+)/.exec(line)?.[1] ?? '';
  return {
    // nft lists in the order in which things were made.
    tables: Object.fromEntries(tables.flatMap(parseTable).sort(([a], [b]) => (a < b ? -1 : 1))),
    routes: routes.map((line) => `${line.split(' ')[0]} dev ${devOf(line)}`).sort(),
    proxies: proxies
      .filter((line) => / proto(?:col)? (?:119|routewall)\b/.test(line))
      .map((line) => `${line.split(' ')[0]} dev ${devOf(line)}`)
      .sort(),
    gateways: addresses
      .flatMap((line) => {
        const [, dev, address] = /^\d+: (\S+) +inet6? (\S+\/(?:32|128)) /.exec(line) ?? [];
        const full = dev !== undefined ? line.match(/inet6? (\S+)/)?.[1] : undefined;
        return address === undefined ? plainHost(line) : [`${full} dev ${dev}`];
      })
      .sort(),
  };
}

/**
 * The first that is as it should be, or the last before it was too late. Not to be read once more: what nft lists while somebody's
 * transaction is refused can lack rules, since the kernel counts on past those that never came into force.
 */
export async function ownStateBy(
  host: Place,
  isRight: (state: OwnState) => boolean,
  timeout?: number,
): Promise<OwnState> {
  let last = await readOwnState(host);
  const look = async (): Promise<boolean> => {
    if (isRight(last)) return true;
    last = await readOwnState(host);
    return isRight(last);
  };
  await eventually('the state is right', look, timeout).catch(() => undefined);
  return last;
}

/** `ip` leaves the length of an IPv4 host address out. */
function plainHost(line: string): string[] {
  const [, dev, address] = /^\d+: (\S+) +inet ([0-9.]+) /.exec(line) ?? [];
  return address === undefined ? [] : [`${address}/32 dev ${dev}`];
}

function parseTable(json: string): [name: string, content: string[]][] {
  const items = listOf(fieldOf(JSON.parse(json), 'nftables'));
  const family = String(items.map((item) => fieldOf(fieldOf(item, 'table'), 'family')).find(Boolean));
  const table: Record<string, string[]> = {};
  for (const item of items) {
    for (const kind of ['set', 'map', 'chain'] as const) {
      const object = fieldOf(item, kind);
      if (object !== undefined) table[`${family} ${kind} ${String(fieldOf(object, 'name'))}`] = contentOf(object);
    }
    const rule = fieldOf(item, 'rule');
    if (rule !== undefined)
      table[`${family} chain ${String(fieldOf(rule, 'chain'))}`]?.push(textOf(fieldOf(rule, 'expr')));
  }
  return Object.entries(table);
}

function contentOf(object: unknown): string[] {
  // nft's JSON has no word for `flags dynamic`; only what packets fill has a size.
  const isDynamic = fieldOf(object, 'size') !== undefined;
  const elements = fieldOf(object, 'elem');
  const hook = fieldOf(object, 'hook');
  if (hook !== undefined)
    return [`${String(hook)} ${String(fieldOf(object, 'prio'))} ${String(fieldOf(object, 'policy'))}`];
  return isDynamic || !Array.isArray(elements) ? [] : elements.map(textOf).sort();
}

/** Without what counts. */
const textOf = (value: unknown): string =>
  JSON.stringify(value, (key, inner: unknown) =>
    key === 'counter' || key === 'packets' || key === 'bytes' || key === 'handle' ? undefined : inner,
  );

/** What of the state belongs to containers, for a comparison with what a test knows. */
export function containerState({
  tables,
  routes,
  proxies,
  gateways,
}: OwnState): Readonly<Record<string, readonly string[]>> {
  const words = (name: string, pattern: RegExp): string[] =>
    (tables[name] ?? []).map((text) => [...text.matchAll(pattern)].map((found) => found[1]).join(' ')).sort();
  const owned = (family: string, set: string): string[] =>
    words(`${family} set ${set}`, /"(c?veth[^"]*|[0-9a-f.:]+)"/g);
  const veths = (name: string): string[] => words(name, /"(c?veth[^"]*)"/g);
  const chains = Object.keys(tables).flatMap(
    (name) => /^inet chain ((?:e|in)gress_[0-9a-f]{8,})$/.exec(name)?.[1] ?? [],
  );
  const targets = ['from_container', 'to_container'].flatMap((map) => words(`inet map ${map}`, /"target":"([^"]+)"/g));
  return {
    veths: veths('inet set veths'),
    arpVeths: veths('arp set veths'),
    from: veths('inet map from_container'),
    to: veths('inet map to_container'),
    owned: [...owned('inet', 'owned4'), ...owned('inet', 'owned6')].sort(),
    arpOwned: owned('arp', 'owned4'),
    unusedChains: chains.filter((chain) => !targets.includes(chain)),
    missingChains: targets.filter((chain) => !chains.includes(chain)),
    routes,
    proxies,
    gateways,
  };
}

/** As `containerState` must be with exactly these containers running. */
export function expectedState(containers: readonly Expected[]): Readonly<Record<string, readonly string[]>> {
  const veths = containers.map(({ veth }) => veth).sort();
  const each = (what: (container: Expected) => readonly string[]): string[] => containers.flatMap(what).sort();
  const owned = (family: 4 | 6): string[] =>
    each(({ veth, addresses }) =>
      addresses.filter((address) => address.includes(':') === (family === 6)).map((address) => `${veth} ${address}`),
    );
  return {
    veths,
    arpVeths: veths,
    from: veths,
    to: veths,
    owned: [...owned(4), ...owned(6)].sort(),
    arpOwned: owned(4),
    unusedChains: [],
    missingChains: [],
    routes: each(({ veth, addresses }) => addresses.map((address) => `${address} dev ${veth}`)),
    proxies: each(({ veth: _, proxied = [] }) => proxied.map((address) => `${address} dev eth0`)),
    gateways: each(({ veth }) => [`169.254.0.1/32 dev ${veth}`, `fe80::1/128 dev ${veth}`]),
  };
}

/** Settings that routed containers need and that stay when they are gone. */
const SETTINGS =
  /^net[.]ipv[46][.](?:conf|neigh)[.]c?veth|^net[.]ipv4[.]conf[.]eth0[.]forwarding|^net[.]ipv6[.]conf[.](?:all|default|lo|eth0)[.](?:forwarding|proxy_ndp|accept_ra) /;

/** Everything on the host but routewall's own and what belongs to a container's veth, as text. */
export async function readForeign(host: Place): Promise<string> {
  const sections = (await readSnapshot(host)).split(/^(?=== )/m);
  return sections
    .map((section) => (section.startsWith('== nft') ? withoutOurTables(section) : withoutOurLines(section)))
    .join('');
}

const withoutOurTables = (section: string): string =>
  section
    .split(/^(?=table )/m)
    .filter((table) => !/^table \w+ routewall\b/.test(table))
    .join('');

function withoutOurLines(section: string): string {
  const isOurs = (line: string): boolean =>
    / dev c?veth\S*|^\d+: c?veth/.test(line) ||
    / proto(?:col)? (?:119|routewall)\b/.test(line) ||
    // The kernel adds one for each subnet once IPv6 forwards.
    /^anycast /.test(line) ||
    SETTINGS.test(line);
  return section
    .split('\n')
    .filter((line) => line !== '' && !isOurs(line))
    .map((line) => `${line.replace(/^\d+: /, '')}\n`)
    .join('');
}
