/** Rules that lead containers' packets into their uplink's table, and replies into that of the uplink they came in by. */
import type { HostState, NicState } from './desired.ts';
import type { NftChain, NftSet } from './ruleset.ts';
import { clearMark, matchMark, matchNoMark, setMark, type UplinkTable } from './uplink.ts';

/**
 * Routing comes right behind prerouting: after ours nobody writes the mark again (dstnat is at -100). In forward and
 * input ours is the first, so that all others see the packet's mark without our bits.
 */
const HOOKS = {
  choose: 'type filter hook prerouting priority dstnat + 10; policy accept;',
  forward: 'type filter hook forward priority raw - 100; policy accept;',
  input: 'type filter hook input priority raw - 100; policy accept;',
};

const chainOf = ({ table }: Pick<UplinkTable, 'table'>): string => `uplink_${table}`;

/** Nothing for a host where no running container has an uplink. */
export function uplinkSets({ uplinkTables }: HostState, nics: readonly NicState[]): [string, NftSet][] {
  if (uplinkTables === undefined) return [];
  const routed = nics.flatMap(({ hostVeth, uplink }) => (uplink === undefined ? [] : [{ hostVeth, uplink }]));
  const names = routed.map(({ hostVeth }): [string, string] => [`"${hostVeth}"`, '']);
  const ways = routed.map(({ hostVeth, uplink }): [string, string] => [`"${hostVeth}"`, `goto ${chainOf(uplink)}`]);
  return [
    ['uplinked', { kind: 'set', spec: 'type ifname;', dynamic: false, elements: new Map(names) }],
    ['uplink_of', { kind: 'map', spec: 'typeof iifname : verdict;', dynamic: false, elements: new Map(ways) }],
  ];
}

export function uplinkChains({ uplinkTables }: HostState): [string, NftChain][] {
  if (uplinkTables === undefined) return [];
  const arrivals = arrivalTables(uplinkTables);
  return [
    ['uplink_choose', { hook: HOOKS.choose, rules: ['iifname vmap @uplink_of'] }],
    ...uplinkTables.map((own): [string, NftChain] => [
      chainOf(own),
      {
        hook: '',
        rules: [
          ...arrivals
            .filter(({ dev }) => dev !== own.dev)
            .map((other) => `ct direction reply ${matchMark('ct', other)} ${setMark('meta', other)} return`),
          setMark('meta', own),
        ],
      },
    ]),
    [
      'uplink_forward',
      {
        hook: HOOKS.forward,
        rules: [
          `iifname @uplinked ${clearMark}`,
          // By the first packet of a flow that comes in: also of one that began before there was an uplink.
          ...arrivals.map(
            (table) =>
              `iifname "${table.dev}" oifname @uplinked ct direction original ${matchNoMark('ct')} ${setMark('ct', table)}`,
          ),
        ],
      },
    ],
    ['uplink_input', { hook: HOOKS.input, rules: [`iifname @uplinked ${clearMark}`] }],
  ];
}

/** What came in by an interface is answered by the first of its tables. */
const arrivalTables = (tables: readonly UplinkTable[]): UplinkTable[] =>
  tables.filter(({ dev }, index) => tables.findIndex((other) => other.dev === dev) === index);
