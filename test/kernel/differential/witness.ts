/** A table of the test's own beside ours: which packets came, which got through all of our rules, which were answered. */
import type { Namespace } from '../../../sandbox/namespace.ts';
import { HOPS } from './frames.ts';

const set = (name: string, key: string): string => `set ${name} { typeof ${key}; size 65535; flags dynamic; }`;

/** Of what we sent, which has been forwarded at most once; the host's own words have numbers too. */
const note = (name: string): string =>
  `ip ttl >= ${HOPS - 1} add @${name}4 { ip id }\n    ip6 hoplimit >= ${HOPS - 1} add @${name}6 { ip6 flowlabel }`;

/**
 * Packets are told apart by the IPv4 identification or the flow label, which an ICMP error repeats; a TCP reset goes to
 * the source port, which is the same number. Ours come before all of our chains and after them.
 */
export const WITNESS = `table inet witness {
  ${set('came4', 'ip id')}
  ${set('came6', 'ip6 flowlabel')}
  ${set('passed4', 'ip id')}
  ${set('passed6', 'ip6 flowlabel')}
  ${set('refused4', 'ip id')}
  ${set('refused6', 'ip6 flowlabel')}
  ${set('resets', 'tcp dport')}
  chain note_came {
    ${note('came')}
  }
  chain note_passed {
    ${note('passed')}
  }
  chain came { type filter hook prerouting priority -500; jump note_came; }
  chain said { type filter hook output priority -500;
    jump note_came
    icmp type 3 add @refused4 { @th,96,16 }
    icmpv6 type 1 add @refused6 { @th,76,20 }
    tcp flags & rst == rst add @resets { tcp dport }
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
  const [, elements = ''] = /elements = \{([^}]*)\}/.exec(body) ?? [];
  return elements.split(',').flatMap((text) => (text.trim() === '' ? [] : [Number(text)]));
}
