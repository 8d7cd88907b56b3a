/** Reads from the kernel what is ours, and only that: our tables by name, our routes and proxies by their mark. */
import { describeLink, type HostLink, parseLinks } from '../../policies/host-network.ts';
import { FAMILIES } from '../../policies/uplink-facts.ts';
import { type Address, type Family, parseAddress, parsePrefix } from '../../render/address.ts';
import type { GatewayAddress, NeighbourProxy, Route } from '../../render/desired.ts';
import { parseListingInPieces, withListed, withoutListed } from '../../render/listing.ts';
import { type InterfaceName, parseInterfaceName } from '../../render/names.ts';
import { PANIC_TABLE } from '../../render/panic.ts';
import { PROTOCOL } from '../../render/protocol.ts';
import {
  EMPTY_RULESET,
  type Ruleset,
  renderRuleset,
  TABLE,
  type TableFamily,
  withFlags,
} from '../../render/ruleset.ts';
import type { UplinkLine } from '../../render/uplink.ts';
import { CommandError, patienceFor, type Run, runOrThrow } from '../commands/run.ts';
import { createTurn, inTurns, mapInTurns, type Turn } from '../in-turns.ts';
import { type Fields, readJson, readJsonOf, records, text } from './ip-json.ts';
import { readLinkAddresses } from './link-addresses.ts';
import { parseUplinkRoute } from './observe-uplinks.ts';
import { readOwnRouteFields } from './own-routes.ts';

/**
 * Our tables as nft lists them; a failed listing is an error, never an absent table.
 *
 * @param families those that may be there
 */
export async function readRuleset(
  run: Run,
  families: readonly TableFamily[] = ['inet', 'arp', 'bridge'],
): Promise<Ruleset> {
  return await inTurns(parseListingInPieces(await listTables(run, families)));
}

/** As nft says it. */
export const listTables = async (run: Run, families: readonly TableFamily[], name = TABLE): Promise<string> =>
  (await Promise.all(families.map((family) => listTable(run, family, name)))).join('\n');

async function listTable(run: Run, family: TableFamily, name: string): Promise<string> {
  const { stdout, stderr, exitCode } = await run('nft', ['-s', 'list', 'table', family, name]);
  if (exitCode === 0) return stdout;
  if (stderr.includes('No such file or directory')) return '';
  throw new CommandError(`nft list table ${family} ${name}: ${stderr.trim()}`);
}

/** Those of ours that exist, those that seal among them; none where the kernel or this host has no nftables. */
export async function readOurTables(run: Run): Promise<string[]> {
  const asked = await run('nft', ['list', 'tables']).catch(() => undefined);
  const names = ['inet', 'arp', 'bridge'].flatMap((family) => [`${family} ${TABLE}`, `${family} ${PANIC_TABLE}`]);
  return (asked?.stdout ?? '')
    .split('\n')
    .map((line) => line.replace(/^table /, ''))
    .filter((table) => names.includes(table));
}

/** nft 1.0.6 lists wrong intervals in the run that added them, so loading and listing are two runs. */
const loadAndList = (ruleset: Ruleset): string =>
  ['nft -f -', ...[...ruleset.keys()].map((family) => `nft -s list table ${family} ${TABLE}`)].join(' && ');

/**
 * How nft would list the ruleset: loads it into a network namespace that exists only for this. Also the complete
 * validation of it. @throws CommandError with nft's message where nft refuses it.
 *
 * @param observed a listing by the same nft: elements that it has in the same words needn't be loaded to be known
 */
export async function listElsewhere(
  run: Run,
  ruleset: Ruleset,
  observed: Ruleset = EMPTY_RULESET,
  turn = createTurn(),
): Promise<Ruleset> {
  const { rest, same } = await inTurns(withoutListed(ruleset, observed), turn);
  const whole = withListed(await listWholeElsewhere(run, rest, turn), same, observed);
  return whole ?? (await listWholeElsewhere(run, ruleset, turn));
}

async function listWholeElsewhere(run: Run, ruleset: Ruleset, turn: Turn): Promise<Ruleset> {
  const isolate = process.getuid?.() === 0 ? ['--net'] : ['--net', '--map-root-user'];
  // An owner of a table there would only be in the way of the listing.
  const text = renderRuleset(withFlags(ruleset, []));
  const command = [...isolate, 'sh', '-c', loadAndList(ruleset)];
  const listing = await runOrThrow(run, 'unshare', command, { input: text, timeout: patienceFor(text) });
  return await inTurns(parseListingInPieces(listing), turn);
}

/** All interfaces of this network namespace with their addresses. */
export async function readLinks(run: Run, turn = createTurn()): Promise<HostLink[]> {
  const [links, addresses] = await Promise.all([readJson(run, ['link', 'show'], turn), readLinkAddresses(run, turn)]);
  const parse = (link: Fields): HostLink[] => describeLink(link, addresses.get(Number(link['ifindex'])) ?? []);
  return (await mapInTurns(records(links), parse, turn)).flat();
}

/** One of them; `undefined` where it isn't there. */
export const readLink = async (run: Run, name: string): Promise<HostLink | undefined> =>
  parseLinks(await readJsonOf(run, ['address', 'show'], name))[0];

export interface ObservedRouting {
  readonly routes: readonly Route[];
  /** Those in tables of uplinks. */
  readonly uplinkRoutes: readonly UplinkLine[];
  /** Ours. */
  readonly proxies: readonly NeighbourProxy[];
  /** Everyone else's, never to be touched; LXC's own among them. */
  readonly foreignProxies: readonly NeighbourProxy[];
  /** Host addresses with link scope on any interface, which is how gateways stand on our veths. */
  readonly linkAddresses: readonly GatewayAddress[];
  /** All of them. */
  readonly links: readonly HostLink[];
}

/** `reading`: of the links, by who reads them already. */
export async function readRouting(
  run: Run,
  turn = createTurn(),
  reading: Promise<readonly HostLink[]> = readLinks(run, turn),
): Promise<ObservedRouting> {
  const [routes4, routes6, proxies, links] = await Promise.all([
    readOwnRoutes(run, 4, turn),
    readOwnRoutes(run, 6, turn),
    readProxies(run),
    reading,
  ]);
  return {
    routes: [...routes4.routes, ...routes6.routes],
    uplinkRoutes: [...routes4.uplinkRoutes, ...routes6.uplinkRoutes],
    ...proxies,
    linkAddresses: links.flatMap(linkScopeHosts),
    links,
  };
}

type OwnRoutes = Pick<ObservedRouting, 'routes' | 'uplinkRoutes'>;

async function readOwnRoutes(run: Run, family: Family, turn = createTurn()): Promise<OwnRoutes> {
  const parse = (fields: Fields): OwnRoutes => {
    const line = parseUplinkRoute(fields, family);
    return line === undefined ? { routes: parseRoute(fields), uplinkRoutes: [] } : { routes: [], uplinkRoutes: [line] };
  };
  const all = await mapInTurns(await readOwnRouteFields(run, family, turn), parse, turn);
  return {
    routes: all.flatMap(({ routes }) => routes),
    uplinkRoutes: all.flatMap(({ uplinkRoutes }) => uplinkRoutes),
  };
}

export const readUplinkRoutes = async (run: Run): Promise<UplinkLine[]> =>
  (await Promise.all(FAMILIES.map((family) => readOwnRoutes(run, family)))).flatMap(({ uplinkRoutes }) => uplinkRoutes);

/** Of all interfaces and both families. */
export async function readProxies(run: Run): Promise<Pick<ObservedRouting, 'proxies' | 'foreignProxies'>> {
  const entries = records(await readJson(run, ['neigh', 'show', 'proxy'])).flatMap(parseProxy);
  return {
    proxies: entries.filter(({ ours }) => ours).map(({ proxy }) => proxy),
    foreignProxies: entries.filter(({ ours }) => !ours).map(({ proxy }) => proxy),
  };
}

function parseRoute(fields: Fields): Route[] {
  const prefix = parsePrefix(text(fields['dst']));
  const dev = parseInterfaceName(text(fields['dev']));
  const via = parseAddress(text(fields['gateway']));
  if (prefix === undefined || dev === undefined) return [];
  const table = fields['table'] === undefined ? {} : { table: Number(fields['table']) };
  return [{ prefix, dev, ...(via === undefined ? {} : { via }), ...table }];
}

function parseProxy(fields: Fields): { ours: boolean; proxy: NeighbourProxy }[] {
  const address = parseAddress(text(fields['dst']));
  const dev = parseInterfaceName(text(fields['dev']));
  if (address === undefined || dev === undefined) return [];
  const protocol = text(fields['protocol']);
  return [{ ours: protocol === String(PROTOCOL) || protocol === 'routewall', proxy: { address, dev } }];
}

/** Full-length prefixes only: an interface's own link-local address has a /64. */
function linkScopeHosts(link: HostLink): { address: Address; dev: InterfaceName }[] {
  const dev = parseInterfaceName(link.name);
  if (dev === undefined) return [];
  return link.addresses
    .filter(
      ({ address, prefixLength, scope }) => scope === 'link' && prefixLength === (address.includes(':') ? 128 : 32),
    )
    .map(({ address }) => ({ address, dev }));
}
