/** Our part of iptables as text: sorted for a comparison, or in the order in which it is written. */
import { FAMILIES, type XtRuleset, type XtTable } from './xt-ruleset.ts';

/** A line each, the same whatever the order of a listing where the order means nothing. */
export function renderXtListing({ sets, families, arp }: XtRuleset): string {
  const lines = [
    ...sorted(sets).flatMap(([name, { type, elements }]) => [
      `set ${name} ${type}`,
      ...[...elements].sort().map((element) => `    ${element}`),
    ]),
    ...FAMILIES.flatMap((family) =>
      sorted(families.get(family)?.tables ?? new Map<string, XtTable>()).flatMap(([table, { jumps, chains }]) => [
        `${family === 4 ? 'iptables' : 'ip6tables'} -t ${table}`,
        ...sorted(jumps).flatMap(([builtin, rules]) => rules.map((rule) => `    ${builtin}: ${rule || '(others)'}`)),
        ...sorted(chains).flatMap(([chain, rules]) => [`  ${chain}`, ...rules.map((rule) => `    ${rule}`)]),
      ]),
    ),
    ...(arp.size === 0 ? [] : ['arptables', ...[...arp].sort().map((rule) => `    ${rule}`)]),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

const sorted = <T>(map: ReadonlyMap<string, T>): [string, T][] => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
