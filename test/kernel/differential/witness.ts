/** A table of the test's own beside ours: which packets came, which got through all of our rules, which were answered. */
import type { Namespace } from '../../../sandbox/namespace.ts';
import { HOPS } from './frames.ts';

/** All that will be asked about are in it from the first: a set that grows may have no place for one on a busy machine. */
const set = (name: string, key: string, ids: readonly number[]): string =>
  `set ${name} { typeof ${key}; counter; elements = { ${ids.join(', ')} }; }`;

/** Of what we sent, which has been forwarded at most once; the host's own words have numbers too. */
const note = (name: string): string =>
  `ip ttl >= ${HOPS - 1} ip id @${name}4\n    ip6 hoplimit >= ${HOPS - 1} ip6 flowlabel @${name}6`;

/**
 * Packets are told apart by the IPv4 identification or the flow label, which an ICMP error repeats; a TCP reset goes to
 * the source port, which is the same number. Ours come before all of our chains and after them. A lookup counts.
 */
export const witnessOf = (ids: readonly number[]): string => `table inet witness {
  ${set('came4', 'ip id', ids)}
  ${set('came6', 'ip6 flowlabel', ids)}
  ${set('passed4', 'ip id', ids)}
  ${set('passed6', 'ip6 flowlabel', ids)}
  ${set('refused4', 'ip id', ids)}
  ${set('refused6', 'ip6 flowlabel', ids)}
  ${set('resets', 'tcp dport', ids)}
  chain note_came {
    ${note('came')}
  }
  chain note_passed {
    ${note('passed')}
  }
  chain came { type filter hook prerouting priority -500; jump note_came; }
  chain said { type filter hook output priority -500;
    jump note_came
    icmp type 3 @th,96,16 @refused4
    icmpv6 type 1 @th,76,20 @refused6
    tcp flags & rst == rst tcp dport @resets
  }
  chain forwarded { type filter hook forward priority 300; jump note_passed; }
  chain received { type filter hook input priority 300; jump note_passed; }
  chain sent { type filter hook output priority 300; jump note_passed; }
}
`;

export interface Witnessed {
  readonly came: ReadonlySet<number>;
  readonly passed: ReadonlySet<number>;
  readonly answered: ReadonlySet<number>;
}

export async function readWitness(host: Namespace): Promise<Witnessed> {
  const { stdout } = await host.run('nft', ['list', 'table', 'inet', 'witness']);
  const numbers = (...names: readonly string[]): Set<number> =>
    new Set(names.flatMap((name) => elementsOf(stdout, name)));
  return {
    came: numbers('came4', 'came6'),
    passed: numbers('passed4', 'passed6'),
    answered: numbers('refused4', 'refused6', 'resets'),
  };
}

function elementsOf(listing: string, name: string): number[] {
  const [, body = ''] = new RegExp(`set ${name} \\{([\\s\\S]*?)\\n\\t\\}`).exec(listing) ?? [];
  return [...body.matchAll(/(\d+) counter packets [1-9]/g)].map(([, id]) => Number(id));
}
