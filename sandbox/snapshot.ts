/** All network state of a place as text, to be compared before and after. */
import type { Place } from './place.ts';

/** Values that change by themselves or can't be read. */
const VOLATILE = /stable_secret|route\.flush|nf_conntrack_count|nf_conntrack_max|nf_conntrack_buckets|tcp_mem|udp_mem/;

/** Parts with a heading each: nftables, routes of all tables, rules, neighbour proxies, links, addresses, sysctls. */
export async function readSnapshot(place: Place): Promise<string> {
  const parts: readonly (readonly [string, ...string[]])[] = [
    ['nft', 'list', 'ruleset'],
    ['ip', '-4', '-details', 'route', 'show', 'table', 'all'],
    ['ip', '-6', '-details', 'route', 'show', 'table', 'all'],
    ['ip', '-4', 'rule', 'show'],
    ['ip', '-6', 'rule', 'show'],
    ['ip', 'neigh', 'show', 'proxy'],
    ['ip', '-6', 'neigh', 'show', 'proxy'],
    ['ip', '-o', 'address'],
    ['sysctl', '-a', '--pattern', '^net[.]'],
  ];
  const texts = await Promise.all(
    parts.map(async ([command, ...args]) => {
      const { stdout } = await place.run(command, args);
      return `== ${command} ${args.join(' ')}\n${steady(stdout)}`;
    }),
  );
  return texts.join('\n');
}

/**
 * Without counters, lifetimes, volatile sysctls, and the name that nft finds or doesn't find for a table's owner; `ip` pads some
 * lines with blanks.
 */
function steady(text: string): string {
  return text
    .split('\n')
    .filter((line) => !VOLATILE.test(line))
    .map((line) =>
      line
        .replace(/packets \d+ bytes \d+/, 'packets N bytes N')
        .replace(/expires \S+/, '')
        .replace(/ # progname .*/, '')
        .trimEnd(),
    )
    .join('\n');
}
