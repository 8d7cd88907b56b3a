/** The SERVICE of `routewall explain`, as packets that can be judged. */
import { icmpTypes } from '../../policies/icmp-types.ts';
import type { ServiceTable } from '../../policies/service-table.ts';
import type { Family } from '../../render/address.ts';
import type { ServiceMatch } from '../../render/rule.ts';

export interface AskedService {
  /** With exact ports, such as `tcp/873`. */
  readonly label: string;
  readonly protocol: number;
  readonly port?: number;
  readonly icmpType?: number;
  /** ICMP's types belong to one family. */
  readonly family?: Family;
}

/** Every packet that the word stands for, or what is wrong with it. A range is judged by its two ends. */
export function parseAskedService(word: string, services: ServiceTable): readonly AskedService[] | string {
  const icmp = /^icmp([46]?)(?:\/(.+))?$/.exec(word);
  if (icmp !== null) return askedIcmp(word, icmp[1] ?? '', icmp[2] ?? 'echo-request');
  const resolved = services.resolve(word);
  if ('message' in resolved) return resolved.message;
  const asked = resolved.matches.map(askedFor);
  if (asked.some((list) => list.length === 0)) return `"${word}" stands for every packet; name one, such as tcp/80`;
  return asked.flat();
}

/** Error messages too, which no policy may name: they are worth asking about. */
function askedIcmp(word: string, familyText: string, type: string): readonly AskedService[] | string {
  const wanted: readonly Family[] = familyText === '4' ? [4] : familyText === '6' ? [6] : [4, 6];
  if (familyText === '' && /^\d+$/.test(type)) {
    return `"${word}": numbers differ between the families; write icmp4/${type} or icmp6/${type}`;
  }
  const asked = wanted.flatMap((family): AskedService[] => {
    const number = /^\d{1,3}$/.test(type) ? Number(type) : icmpTypes[family].get(type);
    if (number === undefined || number > 255) return [];
    return [{ label: `icmp${family}/${type}`, protocol: family === 4 ? 1 : 58, icmpType: number, family }];
  });
  return asked.length > 0 ? asked : `"${word}": unknown ICMP type "${type}"`;
}

const PORTED = { 6: 'tcp', 17: 'udp', 132: 'sctp' } as const;
const ECHO = { 4: 8, 6: 128 } as const;

function askedFor(match: ServiceMatch): AskedService[] {
  switch (match.kind) {
    case 'any':
      return [];
    case 'protocol':
      return [{ label: `proto/${match.protocol}`, protocol: match.protocol }];
    case 'ports': {
      const { protocol } = match;
      const ports = new Set(match.ports.flatMap(({ first, last }) => [first, last]));
      return [...ports].map((port) => ({ label: `${PORTED[protocol]}/${port}`, protocol, port }));
    }
    case 'icmp': {
      const { family, type = ECHO[family] } = match;
      const name = [...icmpTypes[family]].find(([, number]) => number === type)?.[0] ?? String(type);
      return [{ label: `icmp${family}/${name}`, protocol: family === 4 ? 1 : 58, icmpType: type, family }];
    }
  }
}
