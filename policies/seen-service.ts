/** What a packet was for, as the ruleset counts it, in the words of a policy. */
import type { Family } from '../render/address.ts';
import { catalogue } from './catalogue.ts';
import { describeService } from './describe-rule.ts';
import type { ServiceTable } from './service-table.ts';

export interface SeenService {
  readonly family: Family;
  /** The IP protocol's number. */
  readonly protocol: number;
  /** The destination port; of ICMP type × 256 + code; 0 of what has neither. */
  readonly port: number;
}

const PORTED = { 6: 'tcp', 17: 'udp', 132: 'sctp' } as const;

/** `tcp/80`, `icmp4/echo-request`, `proto/47`. */
export function seenServiceWord({ family, protocol, port }: SeenService): string {
  if (protocol === 6 || protocol === 17 || protocol === 132) return `${PORTED[protocol]}/${port}`;
  if (protocol === (family === 4 ? 1 : 58)) return describeService({ kind: 'icmp', family, type: port >> 8 });
  return `proto/${protocol}`;
}

/** By word: the name that people know it by. One that stands for nothing else comes before one that stands for more. */
export function serviceNames(table: ServiceTable): ReadonlyMap<string, string> {
  const names = new Map<string, { readonly name: string; readonly words: number }>();
  for (const name of [...table.ownNames, ...catalogue.keys()]) {
    const words = wordsOf(name, table);
    for (const word of words) {
      const known = names.get(word);
      if (known === undefined || known.words > words.length) names.set(word, { name, words: words.length });
    }
  }
  return new Map([...names].map(([word, { name }]) => [word, name]));
}

/** Single ports, ICMP types and protocols; ranges of ports are no one's name. */
export function wordsOf(name: string, table: ServiceTable): string[] {
  const resolved = table.resolve(name);
  if (!('matches' in resolved)) return [];
  return resolved.matches.flatMap((match) => {
    if (match.kind !== 'ports') return [describeService(match)];
    return match.ports.map((range) => describeService({ ...match, ports: [range] }));
  });
}
