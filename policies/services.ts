/** Service words of a policy, such as `tcp/80,443` or `icmp/echo-request`, as what a rule matches. */
import type { Family } from '../render/address.ts';
import type { PortRange, ServiceMatch } from '../render/rule.ts';
import { icmpTypes, isIcmpError, isRouterAdvertisement } from './icmp-types.ts';
import { closestWord, didYouMean } from './suggest.ts';
import { listOf } from './type-hints.ts';

/** A word that stands for itself, a name to look up, or what is wrong with it. */
export type ServiceWord =
  | { readonly kind: 'matches'; readonly matches: readonly ServiceMatch[] }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'error'; readonly message: string };

const ported = { tcp: 6, udp: 17, sctp: 132 } as const;
const families: readonly Family[] = [4, 6];

const error = (message: string): ServiceWord => ({ kind: 'error', message });
const matches = (...list: readonly ServiceMatch[]): ServiceWord => ({ kind: 'matches', matches: list });

export function parseServiceWord(word: string): ServiceWord {
  const slash = word.indexOf('/');
  const head = slash < 0 ? word : word.slice(0, slash);
  const rest = slash < 0 ? undefined : word.slice(slash + 1).trim();
  switch (head) {
    case 'any':
      return rest === undefined ? matches({ kind: 'any' }) : error(`"${word}": any stands alone`);
    case 'tcp':
    case 'udp':
    case 'sctp':
      return parsePorts(head, rest);
    case 'proto':
      return parseProtocol(rest);
    case 'icmp':
    case 'icmp4':
    case 'icmp6':
      return parseIcmp(head, rest);
  }
  return slash < 0 ? parseName(word) : unknownKind(word, head);
}

export const isServiceName = (text: string): boolean => /^[a-z][a-z0-9_+.-]*$/.test(text);

function parseName(word: string): ServiceWord {
  if (isServiceName(word)) return { kind: 'name', name: word };
  if (/^\d+(-\d+)?$/.test(word)) return error(`"${word}" is no service: did you mean "tcp/${word}"?`);
  const [, protocol, port] = /^(tcp|udp|sctp)[: ]+(\d\S*)$/i.exec(word) ?? [];
  if (protocol !== undefined)
    return error(`"${word}" is no service: did you mean "${protocol.toLowerCase()}/${port}"?`);
  if (/^[\w/.+-]+([,\s]+[\w/.+-]+)+$/.test(word))
    return error(`"${word}" is no service: did you mean ${listOf(word)}?`);
  if (isServiceName(word.toLowerCase())) return error(`"${word}" is no service: did you mean "${word.toLowerCase()}"?`);
  return error(
    `"${word}" is no service: write tcp/80, udp/53, icmp/echo-request, proto/47, any, or a name such as ssh`,
  );
}

function unknownKind(word: string, head: string): ServiceWord {
  const rest = word.slice(head.length);
  const near = closestWord(head, ['tcp', 'udp', 'sctp', 'icmp', 'icmp4', 'icmp6', 'proto']);
  if (head === 'icmpv6') return error(`"${word}" is no service: did you mean "icmp6${rest}"?`);
  if (/^\d+$/.test(head) && /^\/(tcp|udp|sctp)$/.test(rest)) {
    return error(`"${word}" is no service: did you mean "${rest.slice(1)}/${head}"?`);
  }
  const hint = near === undefined ? 'what stands before / is tcp, udp, sctp, icmp, icmp4, icmp6 or proto' : '';
  return error(`"${word}" is no service: ${near === undefined ? hint : `did you mean "${near}${rest}"?`}`);
}

function parsePorts(name: keyof typeof ported, rest: string | undefined): ServiceWord {
  if (rest === undefined || rest === '') {
    return error(`"${name}" needs ports, such as ${name}/80; all of ${name} is proto/${ported[name]}`);
  }
  const ports: PortRange[] = [];
  for (const part of rest.split(',').map((text) => text.trim())) {
    const port = parsePortRange(part);
    if (typeof port === 'string')
      return error(`"${name}/${rest}": ${port}${isServiceName(part) ? `, or just ${part}` : ''}`);
    ports.push(port);
  }
  return matches({ kind: 'ports', protocol: ported[name], ports: mergePorts(ports) });
}

export function parsePortRange(text: string): PortRange | string {
  const [, firstText, lastText] = /^(\d+)(?:\s*[-:]\s*(\d+))?$/.exec(text) ?? [];
  if (firstText === undefined) return `"${text}" is no port: write a number from 1 to 65535, or a range 5000-5010`;
  const first = parsePort(firstText);
  const last = parsePort(lastText ?? firstText);
  if (first === undefined || last === undefined)
    return `"${text}" is no port: ports are 1 to 65535, without leading zeros`;
  if (text.includes(':')) return `"${text}" is no range of ports: did you mean "${first}-${last}"?`;
  if (first > last) return `"${text}" runs backwards: did you mean "${last}-${first}"?`;
  return { first, last };
}

function parsePort(text: string): number | undefined {
  const port = Number(text);
  return /^[1-9]\d{0,4}$/.test(text) && port <= 65535 ? port : undefined;
}

/** Sorted; overlapping and adjacent ranges become one. */
export function mergePorts(ports: readonly PortRange[]): PortRange[] {
  const merged: PortRange[] = [];
  for (const range of [...ports].sort((a, b) => a.first - b.first)) {
    const top = merged.at(-1);
    if (top === undefined || range.first > top.last + 1) merged.push(range);
    else if (range.last > top.last) merged[merged.length - 1] = { first: top.first, last: range.last };
  }
  return merged;
}

function parseProtocol(rest: string | undefined): ServiceWord {
  const protocol = Number(rest);
  if (rest === undefined || !/^(0|[1-9]\d{0,2})$/.test(rest) || protocol > 255) {
    return error(`"proto/${rest ?? ''}": write an IP protocol number from 0 to 255, such as proto/47`);
  }
  // A bare protocol match would take in the ICMP error messages, which no policy may decide.
  if (protocol === 1 || protocol === 58) {
    return error(`"proto/${protocol}": write icmp${protocol === 1 ? 4 : 6}, which leaves out the error messages`);
  }
  return matches({ kind: 'protocol', protocol });
}

function parseIcmp(head: 'icmp' | 'icmp4' | 'icmp6', rest: string | undefined): ServiceWord {
  const wanted = head === 'icmp' ? families : head === 'icmp4' ? families.slice(0, 1) : families.slice(1);
  if (rest === undefined) return matches(...wanted.map((family) => ({ kind: 'icmp', family }) as const));
  if (head === 'icmp' && /^\d+$/.test(rest)) {
    return error(`"icmp/${rest}": numbers differ between the families: write icmp4/${rest} or icmp6/${rest}`);
  }
  const found: ServiceMatch[] = [];
  for (const family of wanted) {
    const type = icmpType(family, rest);
    if (type === undefined) continue;
    const refusal = refusedType(family, type);
    if (refusal !== undefined) return error(`"${head}/${rest}" is ${refusal}`);
    found.push({ kind: 'icmp', family, type });
  }
  return found.length === wanted.length ? matches(...found) : unknownType(head, rest, wanted);
}

function refusedType(family: Family, type: number): string | undefined {
  if (isIcmpError(family, type)) return 'an error message: it passes by itself with the flow it is about; remove it';
  if (isRouterAdvertisement(family, type)) return 'what only a router says: it never passes; remove it';
  return undefined;
}

function icmpType(family: Family, text: string): number | undefined {
  if (!/^(0|[1-9]\d{0,2})$/.test(text)) return icmpTypes[family].get(text);
  return Number(text) <= 255 ? Number(text) : undefined;
}

function unknownType(head: string, rest: string, wanted: readonly Family[]): ServiceWord {
  const only = families.find((family) => icmpTypes[family].has(rest));
  if (only !== undefined) return error(`"${head}/${rest}": only ICMPv${only} has this type: write icmp${only}/${rest}`);
  const known = wanted.flatMap((family) => [...icmpTypes[family].keys()]);
  return error(`"${head}/${rest}": unknown ICMP type "${rest}"${didYouMean(rest, known)}`);
}
