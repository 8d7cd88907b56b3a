/**
 * The table that seals containers, apart from the one that serves them: no change of policies, no resync and no race with
 * one can take it away, it can be put in where a daemon that hangs owns the other, and while there is no panic it costs no
 * packet anything.
 */
import type { InterfaceName, InterfacePattern } from './names.ts';
import { matchesPattern } from './names.ts';
import { TABLE, type TableFlag } from './ruleset.ts';

export const PANIC_TABLE = `${TABLE}_panic`;

/** Nothing passes these interfaces, in neither direction. */
export interface Seal {
  readonly names: ReadonlySet<InterfaceName>;
  /** Interfaces that match are sealed too, but for the uplinks; empty where only some containers are. */
  readonly patterns: readonly InterfacePattern[];
  readonly uplinks: readonly InterfaceName[];
}

/**
 * Before all that serves (render/base.ts has the whole order), and before conntrack: what a sealed container sends
 * belongs to no flow any more. A drop is final, whatever another table says.
 */
const CHAINS = [
  { name: 'from', hook: 'type filter hook prerouting priority raw - 6; policy accept;', key: 'iifname' },
  { name: 'forwarded', hook: 'type filter hook forward priority filter - 11; policy accept;', key: 'oifname' },
  { name: 'sent', hook: 'type filter hook output priority filter - 11; policy accept;', key: 'oifname' },
] as const;

/** Commands for a kernel that has no such table: `create` fails where there is one, so that no rule is there twice. */
export function renderSeal(seal: Seal, flags: readonly TableFlag[] = []): string[] {
  const table = `inet ${PANIC_TABLE}`;
  return [
    `create table ${table}${flags.length === 0 ? '' : ` { flags ${flags.join(', ')}; }`}`,
    `add set ${table} sealed { type ifname; }`,
    ...addToSeal([...seal.names]),
    ...CHAINS.flatMap(({ name, hook, key }) => [
      `add chain ${table} ${name} { ${hook} }`,
      ...rules(seal, key).map((rule) => `add rule ${table} ${name} ${rule}`),
    ]),
  ];
}

/** `iifname "veth*" iifname != "veth-up" drop` */
function rules({ patterns, uplinks }: Seal, key: 'iifname' | 'oifname'): string[] {
  return [
    `${key} @sealed drop`,
    ...patterns.map((pattern) => {
      const exempt = uplinks.filter((uplink) => matchesPattern(uplink, pattern));
      return [`${key} "${pattern}"`, ...exempt.map((uplink) => `${key} != "${uplink}"`), 'drop'].join(' ');
    }),
  ];
}

export const DELETE_SEAL = `delete table inet ${PANIC_TABLE}`;

export const addToSeal = (names: readonly InterfaceName[]): string[] => elements('add', names);
export const takeFromSeal = (names: readonly InterfaceName[]): string[] => elements('delete', names);

/** So many in one command as keep a netlink message below its limit. */
const CHUNK = 500;

function elements(verb: 'add' | 'delete', names: readonly InterfaceName[]): string[] {
  const sorted = [...names].sort();
  const commands: string[] = [];
  for (let start = 0; start < sorted.length; start += CHUNK) {
    const list = sorted.slice(start, start + CHUNK).map((name) => `"${name}"`);
    commands.push(`${verb} element inet ${PANIC_TABLE} sealed { ${list.join(', ')} }`);
  }
  return commands;
}
