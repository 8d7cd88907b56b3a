/** What the kernel holds of policy routing: ours as lines, and what others' routing says about the uplinks. */
import { type DefaultRoute, FAMILIES, MAIN, type UplinkFacts } from '../../policies/uplink-facts.ts';
import { type Address, type Family, familyOf, parseAddress } from '../../render/address.ts';
import { parseInterfaceName } from '../../render/names.ts';
import { METRIC, PROTOCOL } from '../../render/protocol.ts';
import { ANYWHERE, isOwnTable, lastRoute, type UplinkLine, wayOut } from '../../render/uplink.ts';
import { readSysctl } from '../apply/sysctls.ts';
import type { Run } from '../commands/run.ts';
import { type Fields, readJson, records, text } from './ip-json.ts';

/** Kernels without IPv6 have no rules of it. */
const readRules = async (run: Run, family: Family): Promise<Fields[]> =>
  records(await readJson(run, ['-N', `-${family}`, 'rule', 'show']).catch(orNothing));

function orNothing(cause: unknown): [] {
  if (cause instanceof Error && /not supported|Dump terminated/.test(cause.message)) return [];
  throw cause;
}

/** Our rules of both families. */
export async function readUplinkRules(run: Run): Promise<UplinkLine[]> {
  const lists = await Promise.all(
    FAMILIES.map(async (family) =>
      (await readRules(run, family)).filter(isOurs).map(
        (rule): UplinkLine => ({
          ...{ family, object: 'rule' },
          text: ruleText(rule),
        }),
      ),
    ),
  );
  return lists.flat();
}

const isOurs = (fields: Fields): boolean => text(fields['protocol']) === String(PROTOCOL);

/** In the words of render/uplink.ts; one that someone made with our mark reads otherwise, and goes. */
function ruleText(rule: Fields): string {
  const table = text(rule['table']);
  const suppress = rule['suppress_prefixlen'];
  return [
    `pref ${String(rule['priority'])}`,
    ...(rule['fwmark'] === undefined ? [] : [`fwmark ${wide(rule['fwmark'])}/${wide(rule['fwmask'])}`]),
    `lookup ${table === String(MAIN) ? 'main' : table}`,
    ...(suppress === undefined ? [] : [`suppress_prefixlength ${String(suppress)}`]),
    `protocol ${PROTOCOL}`,
  ].join(' ');
}

const wide = (value: unknown): string => `0x${Number(value).toString(16).padStart(8, '0')}`;

/** One of our routes in one of our tables; `undefined` for any other. Reads `ip -j -N route`. */
export function parseUplinkRoute(fields: Fields, family: Family): UplinkLine | undefined {
  const table = Number(fields['table'] ?? MAIN);
  if (!isOwnTable(table)) return undefined;
  const via = parseAddress(text(fields['gateway']));
  const dev = text(fields['dev']);
  const line = (words: string): UplinkLine => ({ family, object: 'route', text: words });
  if (text(fields['type']) === UNREACHABLE) return line(lastRoute(family, table));
  if (text(fields['dst']) === 'default' && via !== undefined && fields['metric'] === METRIC)
    return line(wayOut(via, dev, table));
  const where = text(fields['dst']) === 'default' ? ANYWHERE[family] : text(fields['dst']);
  const hop = via === undefined ? '' : ` via ${via}`;
  return line(`${where}${hop} dev ${dev} table ${table} proto ${PROTOCOL} metric ${String(fields['metric'] ?? 0)}`);
}

const UNREACHABLE = '7';

export interface HostRouting {
  readonly defaults: readonly DefaultRoute[];
  /** Tables of our range that others use. */
  readonly taken: readonly number[];
}

/** With a full table of BGP's it takes the kernel half a second; asked only where a policy has an uplink. */
export async function readHostRouting(run: Run): Promise<HostRouting> {
  const parts = await Promise.all(
    FAMILIES.map(async (family) => {
      const routes = records(
        await readJson(run, ['-N', `-${family}`, 'route', 'show', 'table', 'all', 'default']).catch(orNothing),
      );
      const foreign = routes.filter((route) => !isOurs(route));
      const rules = (await readRules(run, family)).filter((rule) => !isOurs(rule));
      return {
        defaults: foreign.flatMap(parseDefaultRoute),
        taken: [...foreign, ...rules].map(({ table }) => Number(table ?? MAIN)).filter(isOwnTable),
      };
    }),
  );
  return { defaults: parts.flatMap(({ defaults }) => defaults), taken: parts.flatMap(({ taken }) => taken) };
}

/**
 * The interfaces that the host's default routes lead to. Not from /proc/net/ipv6_route: the kernel begins anew for each page of
 * it, which takes seconds among ten thousand interfaces.
 */
export async function readWaysOut(run: Run): Promise<ReadonlySet<string>> {
  const lists = await Promise.all(
    FAMILIES.map((family) => readJson(run, [`-${family}`, 'route', 'show', 'default']).catch(orNothing)),
  );
  return devsOf(lists);
}

/** The interfaces by which the host may reach an address: as it would now, and by each default route that a rule may choose. */
export async function readWaysTo(run: Run, address: Address): Promise<ReadonlySet<string>> {
  const family = `-${familyOf(address)}`;
  const lists = await Promise.all([
    // An error where there is none.
    readJson(run, [family, 'route', 'get', address]).catch(() => []),
    readJson(run, [family, 'route', 'show', 'table', 'all', 'default']).catch(orNothing),
  ]);
  return devsOf(lists);
}

/** The interface by which the host itself would reach an address; none where that is by a route of ours. */
export async function readForeignWay(run: Run, address: Address): Promise<ReadonlySet<string>> {
  const question = ['-N', `-${familyOf(address)}`, 'route', 'get', 'fibmatch', address];
  const found = records(await readJson(run, question).catch(() => []));
  return devsOf([found.filter((route) => !isOurs(route))]);
}

function devsOf(lists: readonly unknown[]): ReadonlySet<string> {
  const hops = lists.flatMap(records).flatMap((route) => [route, ...records(route['nexthops'])]);
  return new Set(hops.flatMap(({ dev }) => text(dev) || []));
}

/** Whether somebody else's routes are in a table that holds none of ours. */
export async function isTableTaken(run: Run, table: number): Promise<boolean> {
  const lists = await Promise.all(
    FAMILIES.map(async (family) => {
      const { stdout } = await run('ip', ['-N', `-${family}`, 'route', 'show', 'table', String(table)]);
      return stdout.split('\n').filter((line) => line !== '');
    }),
  );
  const lines = lists.flat();
  return lines.length > 0 && !lines.some((line) => line.includes(` proto ${PROTOCOL} `));
}

/** Of `ip -j -N route`; a multipath route gives one for each hop, one without a router none. */
export function parseDefaultRoute(fields: Fields): DefaultRoute[] {
  const hops = fields['nexthops'] === undefined ? [fields] : records(fields['nexthops']);
  const table = fields['table'] === 'main' ? MAIN : Number(fields['table'] ?? MAIN);
  const metric = typeof fields['metric'] === 'number' ? fields['metric'] : 0;
  return hops.flatMap((hop) => {
    const dev = parseInterfaceName(text(hop['dev']));
    const [other] = records([hop['via']]);
    const via = parseAddress(text(hop['gateway']) || text(other?.['host']));
    if (dev === undefined || !Number.isInteger(table)) return [];
    return via === undefined ? [] : [{ dev, via, table, metric }];
  });
}

/** Interfaces of these whose answers must come in where the host itself would send. */
export function readStrict(devs: Iterable<string>): UplinkFacts['strict'] {
  const filterOf = (dev: string): number => Number(readSysctl(`net/ipv4/conf/${dev}/rp_filter`) ?? 0);
  const all = filterOf('all');
  return new Set([...devs].filter((dev) => Math.max(all, filterOf(dev)) === 1));
}
