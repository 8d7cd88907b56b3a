/** Policy routing: the table of one uplink, and the marks that lead a container's packets into it. */
import { type Address, type Family, familyOf } from './address.ts';
import type { InterfaceName } from './names.ts';
import { METRIC, PROTOCOL } from './protocol.ts';

/** One uplink with one router in each family; all containers that use it share its table. */
export interface UplinkTable {
  /** In `TABLES`. */
  readonly table: number;
  readonly dev: InterfaceName;
  /** At most one of each family. A family without one has no way out. */
  readonly gateways: readonly Address[];
  /** Those that its containers speak. */
  readonly families: readonly Family[];
}

/** Routing tables that we may take: 11900 to 11999. Rules of the same number lead to them, and those 100 above. */
export const TABLES = { first: 11_900, count: 100 } as const;

export const isOwnTable = (table: number): boolean => table >= TABLES.first && table < TABLES.first + TABLES.count;

/**
 * The bits of packet mark and connection mark that are ours while a container has an uplink; all others are kept.
 * Kubernetes has 0xc000, Tailscale 0xff0000, wg-quick 0xffff, Docker none.
 */
export const MARK_MASK = 0x7f00_0000;
const KEPT = 0x80ff_ffff;

const hex = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`;

const markOf = (table: number): number => (table - TABLES.first + 1) * 0x0100_0000;

/** In nft: `meta mark set meta mark & 0x80ffffff | 0x26000000` */
export const setMark = (key: 'meta' | 'ct', { table }: Pick<UplinkTable, 'table'>): string =>
  `${key} mark set ${key} mark & ${hex(KEPT)} | ${hex(markOf(table))}`;

export const clearMark = `meta mark set meta mark & ${hex(KEPT)}`;

export const matchMark = (key: 'meta' | 'ct', { table }: Pick<UplinkTable, 'table'>): string =>
  `${key} mark & ${hex(MARK_MASK)} == ${hex(markOf(table))}`;

export const matchNoMark = (key: 'meta' | 'ct'): string => `${key} mark & ${hex(MARK_MASK)} == 0x00000000`;

/**
 * Routes in main that are no nearer than these count as default routes too, and are passed over: VPN programs set
 * 0.0.0.0/1 and 128.0.0.0/1 (and up to /4 of IPv6) to get around one.
 */
const DEFAULT_LENGTH = { 4: 1, 6: 4 } as const;

export const ANYWHERE = { 4: '0.0.0.0/0', 6: '::/0' } as const;

/** Worst of all: what follows when there is no router, or the link is down. Never another table's way out. */
const LAST_METRIC = 4_294_967_295;

/** As what follows `ip -4` or `ip -6`: which family a rule is of, no word of it tells. */
export interface UplinkLine {
  readonly family: Family;
  readonly object: 'route' | 'rule';
  /** What follows `add`, `replace` or `del`. */
  readonly text: string;
}

/** What must be there before any packet is marked, in this order; and taken down in the other, when none is any more. */
export const uplinkLines = (tables: readonly UplinkTable[] = []): UplinkLine[] =>
  tables.flatMap((table) =>
    table.families.flatMap((family) => [
      ...routes(table, family).map((text): UplinkLine => ({ family, object: 'route', text })),
      ...rules(table, family).map((text): UplinkLine => ({ family, object: 'rule', text })),
    ]),
  );

export const lineKey = ({ family, object, text }: UplinkLine): string => `-${family} ${object} ${text}`;

/** A rule can't be replaced, and a second of the same is refused (EEXIST). */
export const renderUplinkLine = ({ object, text }: UplinkLine, verb: 'add' | 'del'): string =>
  `${object} ${verb === 'add' && object === 'route' ? 'replace' : verb} ${text}`;

function routes({ table, dev, gateways }: UplinkTable, family: Family): string[] {
  const via = gateways.find((address) => familyOf(address) === family);
  const last = lastRoute(family, table);
  return via === undefined ? [last] : [last, wayOut(via, dev, table)];
}

export const lastRoute = (family: Family, table: number): string =>
  `unreachable ${ANYWHERE[family]} table ${table} proto ${PROTOCOL} metric ${LAST_METRIC}`;

/** `onlink`: a provider's router may lie outside every prefix of the link. */
export const wayOut = (via: Address, dev: string, table: number): string =>
  `${ANYWHERE[familyOf(via)]} via ${via} dev ${dev} onlink table ${table} proto ${PROTOCOL} metric ${METRIC}`;

function rules({ table }: UplinkTable, family: Family): string[] {
  const selector = `fwmark ${hex(markOf(table))}/${hex(MARK_MASK)}`;
  return [
    `pref ${table} ${selector} lookup main suppress_prefixlength ${DEFAULT_LENGTH[family]} protocol ${PROTOCOL}`,
    `pref ${table + TABLES.count} ${selector} lookup ${table} protocol ${PROTOCOL}`,
  ];
}
