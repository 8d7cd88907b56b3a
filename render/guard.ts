/** The guard: what an interface gets that looks like a container's and that nobody claims. */
import { names } from './constant-sets.ts';
import type { HostState, NicState } from './desired.ts';
import { matchesPattern } from './names.ts';
import type { NftSet } from './ruleset.ts';

/**
 * What nobody claims gets nothing; uplinks that the administrator names are never guarded:
 * `iifname "veth*" iifname != "veth-up" drop`
 */
export function guard(key: 'iifname' | 'oifname', host: HostState, verdict = 'drop'): string[] {
  const patterns = host.guardPatterns.map((pattern) => {
    const exempt = host.uplinks.filter((uplink) => matchesPattern(uplink, pattern));
    return [`${key} "${pattern}"`, ...exempt.map((uplink) => `${key} != "${uplink}"`), verdict].join(' ');
  });
  return [`${key} @guarded ${verdict}`, ...patterns];
}

export function guardedSet(host: HostState, shut: readonly NicState[] = []): NftSet {
  if (shut.length > 0) return names([...guardedNames(host), ...shut.map(({ hostVeth }) => hostVeth)]);
  const known = guarded.get(host) ?? names(guardedNames(host));
  guarded.set(host, known);
  return known;
}

/** There may be thousands, and each change renders them twice: as the same object, which no comparison looks into. */
const guarded = new WeakMap<HostState, NftSet>();

const guardedNames = ({ guardedNames, uplinks }: HostState): string[] =>
  guardedNames.filter((name) => !uplinks.includes(name));

/**
 * Where hosts differ in the names alone that are guarded, as when a container is made that names its veth: the same hosts with
 * those names that only one of both has. Otherwise `undefined`; so on bridges, which guard a NIC's veth too.
 */
export function guardsThatDiffer(before: HostState, after: HostState): readonly [HostState, HostState] | undefined {
  const { guardedNames: old, ...others } = before;
  const { guardedNames: now, ...same } = after;
  if (before.bridges !== undefined || JSON.stringify(others) !== JSON.stringify(same)) return undefined;
  const [known, present] = [new Set(old), new Set(now)];
  return [
    { ...before, guardedNames: old.filter((name) => !present.has(name)) },
    { ...before, guardedNames: now.filter((name) => !known.has(name)) },
  ];
}
