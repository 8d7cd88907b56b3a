/** What the host's own routing says about its uplinks, and which table a container's choice gets. */
import { type Address, type Family, familyOf } from '../render/address.ts';
import type { InterfaceName } from '../render/names.ts';
import { TABLES, type UplinkTable } from '../render/uplink.ts';
import type { UplinkChoice } from './compile-uplink.ts';

export interface DefaultRoute {
  readonly dev: InterfaceName;
  readonly via: Address;
  /** As `ip -N` numbers it; 254 is main. */
  readonly table: number;
  readonly metric: number;
}

export interface UplinkFacts {
  /** Everyone's but ours. */
  readonly defaults: readonly DefaultRoute[];
  /** Tables of our range that hold other's routes, or that others' rules lead to. */
  readonly taken: ReadonlySet<number>;
  /** Interfaces whose effective rp_filter is 1. */
  readonly strict: ReadonlySet<string>;
}

export const NO_FACTS: UplinkFacts = { defaults: [], taken: new Set(), strict: new Set() };

/** One router each: two containers with different gateways on one uplink need two tables. */
export const choiceKey = ({ dev, gateways }: UplinkParty): string => [dev, ...[...gateways].sort()].join(' ');

export type UplinkParty = Pick<UplinkChoice, 'dev' | 'gateways'>;

/** By key, all that may need a table: the choices, and each uplink with a router, by which a flow may come in. */
export function uplinkParties(
  choices: readonly UplinkChoice[],
  uplinks: readonly InterfaceName[],
  facts: Pick<UplinkFacts, 'defaults'>,
): ReadonlyMap<string, UplinkParty> {
  const arrivals = uplinks.filter((dev) => FAMILIES.some((family) => nextHop(facts, dev, family) !== undefined));
  const parties = [...choices, ...arrivals.map((dev): UplinkParty => ({ dev, gateways: [] }))];
  return new Map(parties.map((party) => [choiceKey(party), party]));
}

export const FAMILIES: readonly Family[] = [4, 6];

/** The next hop of the interface's own default route, in main before other tables, the better metric first. */
export function nextHop({ defaults }: Pick<UplinkFacts, 'defaults'>, dev: string, family: Family): Address | undefined {
  const own = defaults.filter((route) => route.dev === dev && familyOf(route.via) === family);
  const order = ({ table, metric }: DefaultRoute): number[] => [table === MAIN ? 0 : 1, metric, table];
  return own.sort((a, b) => compareLists(order(a), order(b)))[0]?.via;
}

export const MAIN = 254;

const compareLists = (a: readonly number[], b: readonly number[]): number =>
  a.map((value, index) => value - (b[index] ?? 0)).find((difference) => difference !== 0) ?? 0;

/**
 * A table for each key. By a hash of the key, so that a restart finds the same without remembering anything: marks of
 * connections outlive the daemon. The next free one where two meet. Keys that get none are left out.
 */
export function assignTables(keys: Iterable<string>, taken: ReadonlySet<number>): ReadonlyMap<string, number> {
  const tables = new Map<string, number>();
  const used = new Set(taken);
  for (const key of [...new Set(keys)].sort()) {
    const begin = hashOf(key) % TABLES.count;
    const order = Array.from({ length: TABLES.count }, (_, step) => TABLES.first + ((begin + step) % TABLES.count));
    const free = order.find((table) => !used.has(table));
    if (free === undefined) continue;
    used.add(free);
    tables.set(key, free);
  }
  return tables;
}

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

/** The rest of a choice: its table, with the gateways that the policy gives before those that the host knows. */
export function uplinkTable(
  { dev, gateways }: UplinkParty,
  table: number,
  families: readonly Family[],
  facts: UplinkFacts,
): UplinkTable {
  const found = families.flatMap((family) => {
    const given = gateways.find((address) => familyOf(address) === family);
    return given ?? nextHop(facts, dev, family) ?? [];
  });
  return { table, dev, gateways: found, families };
}
