/**
 * The way from an interface to its chain. iptables knows no verdict maps, so names that begin alike share a branch: a
 * packet passes some dozens of comparisons at thousands of containers, and not one for each.
 */

/** More names than these at one place get branches. */
const LEAVES = 12;

export interface Dispatch {
  /** The chain where it begins, and the beginning of its branches' names. */
  readonly root: string;
  readonly option: '-i' | '-o';
  /** By interface: the chain that a packet goes to, not to come back. */
  readonly targets: ReadonlyMap<string, string>;
  /** Where a packet goes that no name is for: each chain ends there, and never falls through. */
  readonly otherwise: string;
}

/** `-i veth1 -g RW-C-veth1`, or `-i vethA+ -g RW-FROM-vethA` where many begin so. */
export function renderDispatch({ root, option, targets, otherwise }: Dispatch): [string, string[]][] {
  const chains: [string, string[]][] = [];
  const branch = (chain: string, names: readonly string[]): void => {
    const rules: string[] = [];
    chains.push([chain, rules]);
    if (names.length <= LEAVES) rules.push(...names.map((name) => `${option} ${name} -g ${targets.get(name)}`));
    else {
      const length = commonLength(names) + 1;
      const groups = new Map<string, string[]>();
      for (const name of names) {
        const group = groups.get(name.slice(0, length)) ?? [];
        group.push(name);
        groups.set(name.slice(0, length), group);
      }
      for (const [begin, group] of groups) {
        const [only = ''] = group;
        if (group.length === 1) rules.push(`${option} ${only} -g ${targets.get(only)}`);
        else {
          rules.push(`${option} ${begin}+ -g ${root}-${begin}`);
          branch(`${root}-${begin}`, group);
        }
      }
    }
    rules.push(`-g ${otherwise}`);
  };
  branch(root, [...targets.keys()].sort());
  return chains;
}

/** How many letters all of them begin with; sorted, so the first and the last differ most. */
function commonLength(sorted: readonly string[]): number {
  const [first = '', last = ''] = [sorted[0], sorted.at(-1)];
  let length = 0;
  while (length < first.length && first[length] === last[length]) length += 1;
  return length;
}
