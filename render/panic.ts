/**
 * The tables that seal containers, apart from those that serve them: no change of policies, no resync and no race with
 * one can take them away, they can be put in where a daemon that hangs owns the others, and while there is no panic they
 * cost no packet anything.
 */
import type { InterfaceName, InterfacePattern } from './names.ts';
import { matchesPattern } from './names.ts';
import { TABLE, type TableFamily, type TableFlag } from './ruleset.ts';

export const PANIC_TABLE = `${TABLE}_panic`;

/** Nothing passes these interfaces, in neither direction. */
export interface Seal {
  readonly names: ReadonlySet<InterfaceName>;
  /**
   * Those that hang on bridges, where no pattern seals: others' containers may have such names there. What comes later
   * is shut as long as nobody has claimed it.
   */
  readonly ports: ReadonlySet<InterfaceName>;
  /** Interfaces that match are sealed too, but for the uplinks; empty where only some containers are. */
  readonly patterns: readonly InterfacePattern[];
  readonly uplinks: readonly InterfaceName[];
}

type Key = 'iifname' | 'oifname';

/**
 * Before all that serves (render/base.ts and render/bridge-table.ts have the whole order), and before conntrack: what a
 * sealed container sends belongs to no flow any more, and to no packet that is put together. A drop is final, whatever another table says.
 */
const CHAINS: Readonly<Record<TableFamily, readonly (readonly [name: string, hook: string, key: Key])[]>> = {
  inet: [
    ['from', 'type filter hook prerouting priority -451; policy accept;', 'iifname'],
    ['forwarded', 'type filter hook forward priority filter - 11; policy accept;', 'oifname'],
    ['sent', 'type filter hook output priority filter - 11; policy accept;', 'oifname'],
  ],
  arp: [
    ['from', 'type filter hook input priority filter - 11; policy accept;', 'iifname'],
    ['sent', 'type filter hook output priority filter - 11; policy accept;', 'oifname'],
  ],
  bridge: [
    ['from', 'type filter hook prerouting priority -311; policy accept;', 'iifname'],
    ['forwarded', 'type filter hook forward priority -311; policy accept;', 'oifname'],
    ['sent', 'type filter hook output priority -311; policy accept;', 'oifname'],
  ],
};

/** Which tables it takes; that of bridges only where one of theirs is sealed. */
export const sealTables = ({ ports }: Seal): TableFamily[] => [
  'inet',
  'arp',
  ...(ports.size > 0 ? ['bridge' as const] : []),
];

/** Commands for a kernel that has no such tables: `create` fails where there is one, so that no rule is there twice. */
export const renderSeal = (seal: Seal, flags: readonly TableFlag[] = []): string[] =>
  sealTables(seal).flatMap((family) => renderTable(family, seal, flags));

function renderTable(family: TableFamily, seal: Seal, flags: readonly TableFlag[]): string[] {
  const table = `${family} ${PANIC_TABLE}`;
  return [
    `create table ${table}${flags.length === 0 ? '' : ` { flags ${flags.join(', ')}; }`}`,
    `add set ${table} sealed { type ifname; }`,
    ...elements('add', family, [...sealedIn(family, seal)]),
    ...CHAINS[family].flatMap(([name, hook, key]) => [
      `add chain ${table} ${name} { ${hook} }`,
      ...rules(family, seal, key).map((rule) => `add rule ${table} ${name} ${rule}`),
    ]),
  ];
}

const sealedIn = (family: TableFamily, { names, ports }: Seal): ReadonlySet<InterfaceName> =>
  family === 'bridge' ? ports : names;

/** `iifname "veth*" iifname != "veth-up" drop` */
function rules(family: TableFamily, { patterns, uplinks }: Seal, key: Key): string[] {
  return [
    `${key} @sealed drop`,
    ...(family === 'bridge' ? [] : patterns).map((pattern) => {
      const exempt = uplinks.filter((uplink) => matchesPattern(uplink, pattern));
      return [`${key} "${pattern}"`, ...exempt.map((uplink) => `${key} != "${uplink}"`), 'drop'].join(' ');
    }),
  ];
}

export const deleteSeal = (families: readonly TableFamily[]): string[] =>
  families.map((family) => `delete table ${family} ${PANIC_TABLE}`);

/** Whether other names are all that tells one from the other. */
export const isSameButNames = (a: Seal, b: Seal): boolean =>
  sealTables(a).length === sealTables(b).length && isSame(a.patterns, b.patterns) && isSame(a.uplinks, b.uplinks);

const isSame = (a: readonly string[], b: readonly string[]): boolean => a.join() === b.join();

/** Between two that are the same but for names. */
export const diffSeals = (before: Seal, after: Seal): string[] =>
  sealTables(after).flatMap((family) => {
    const [had, has] = [sealedIn(family, before), sealedIn(family, after)];
    return [
      ...elements(
        'add',
        family,
        [...has].filter((name) => !had.has(name)),
      ),
      ...elements(
        'delete',
        family,
        [...had].filter((name) => !has.has(name)),
      ),
    ];
  });

/** So many in one command as keep a netlink message below its limit. */
const CHUNK = 500;

function elements(verb: 'add' | 'delete', family: TableFamily, names: readonly InterfaceName[]): string[] {
  const sorted = [...names].sort();
  const commands: string[] = [];
  for (let start = 0; start < sorted.length; start += CHUNK) {
    const list = sorted.slice(start, start + CHUNK).map((name) => `"${name}"`);
    commands.push(`${verb} element ${family} ${PANIC_TABLE} sealed { ${list.join(', ')} }`);
  }
  return commands;
}
