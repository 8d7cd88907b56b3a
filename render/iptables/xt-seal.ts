/** What seals containers, by chains of its own before all others: a change of policies or a resync can't take it away. */
import { matchesAny } from '../names.ts';
import type { Seal } from '../panic.ts';

const PLACES = [
  { table: 'raw', builtin: 'PREROUTING', chain: 'RW-PANIC-FROM', option: '-i' },
  { table: 'filter', builtin: 'FORWARD', chain: 'RW-PANIC-TO', option: '-o' },
  { table: 'filter', builtin: 'OUTPUT', chain: 'RW-PANIC-TO', option: '-o' },
] as const;

/** By family alike. `held`: lines of iptables-save, whichever of our jumps are there are made anew or go. */
export function renderXtSeal(seal: Seal | undefined, held: string): string[] {
  return (['raw', 'filter'] as const).flatMap((table) => {
    const places = PLACES.filter((place) => place.table === table);
    const [first] = places;
    if (first === undefined) return [];
    const { chain, option } = first;
    const isThere = new RegExp(`^:${chain} `, 'm').test(held);
    if (seal === undefined && !isThere) return [];
    const jumps = places.flatMap(({ builtin }) =>
      held.split('\n').filter((line) => line === `-A ${builtin} -j ${chain}`),
    );
    return [
      `*${table}`,
      `:${chain} - [0:0]`,
      ...(seal === undefined ? [] : sealRules(seal, option).map((rule) => `-A ${chain} ${rule}`)),
      ...jumps.map((line) => line.replace('-A', '-D')),
      ...(seal === undefined ? [`-X ${chain}`] : places.map(({ builtin }) => `-I ${builtin} 1 -j ${chain}`)),
      'COMMIT',
    ];
  });
}

/** What iptables-save would print of a seal that is as it should be, in any order. */
export function isXtSealed(seal: Seal | undefined, held: string): boolean {
  const lines = held.split('\n');
  return PLACES.every(({ builtin, chain, option }) => {
    const rules = lines
      .filter((line) => line.startsWith(`-A ${chain} `))
      .map((line) => line.slice(`-A ${chain} `.length));
    const first = lines.find((line) => line.startsWith(`-A ${builtin} `) && !line.includes('-j RW-'));
    const at = lines.indexOf(`-A ${builtin} -j ${chain}`);
    if (seal === undefined) return rules.length === 0 && at < 0;
    const isFirst = at >= 0 && (first === undefined || at < lines.indexOf(first));
    return isFirst && rules.join('\n') === sealRules(seal, option).join('\n');
  });
}

/** An interface whose name ends in `+` has no rules that let anything pass, and can't be named without others. */
function sealRules({ names, patterns, uplinks }: Seal, option: '-i' | '-o'): string[] {
  const exempt = uplinks.filter((uplink) => matchesAny(uplink, patterns));
  return [
    ...[...names]
      .filter((name) => !name.endsWith('+'))
      .sort()
      .map((name) => `${option} ${name} -j DROP`),
    ...exempt.map((uplink) => `${option} ${uplink} -j RETURN`),
    ...patterns.map((pattern) => `${option} ${pattern.replace(/\*$/, '+')} -j DROP`),
  ];
}
