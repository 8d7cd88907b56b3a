/** Pairs of a service and a peer as few rules: each rule allows every service of it with every peer of it, and no more. */

export interface Pair {
  readonly service: string;
  readonly peer: string;
}

/** Services with the same peers share a rule, or peers with the same services: whichever makes fewer rules. */
export function groupPairs<P extends Pair>(pairs: readonly P[]): P[][] {
  const byService = shareRules(pairs, 'service', 'peer');
  const byPeer = shareRules(pairs, 'peer', 'service');
  return byPeer.length < byService.length ? byPeer : byService;
}

function shareRules<P extends Pair>(pairs: readonly P[], one: keyof Pair, other: keyof Pair): P[][] {
  const rules = new Map<string, P[]>();
  for (const own of groupBy(pairs, (pair) => pair[one]).values()) {
    const others = JSON.stringify(own.map((pair) => pair[other]).sort());
    rules.set(others, [...(rules.get(others) ?? []), ...own]);
  }
  return [...rules.values()];
}

export function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
