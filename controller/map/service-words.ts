/** A set of services in as few words as people know: `https`, `dns`, `any but smtp`, `tcp/8000-8100`. */
import { catalogue } from '../../policies/catalogue.ts';
import { icmpTypes } from '../../policies/icmp-types.ts';
import type { LoadedPolicies } from '../../policies/load-policies.ts';
import type { Family } from '../../render/address.ts';
import type { PortRange, ServiceMatch } from '../../render/rule.ts';
import { AXES, type Axis, type ServiceSet, subtract, universe } from './service-set.ts';

/** Names and what they stand for. */
export interface ServiceNames {
  /** Those of several ranges first: they explain more. */
  readonly list: readonly { readonly name: string; readonly matches: readonly ServiceMatch[] }[];
}

/** The host's own names, and of the catalogue those that its policies use: tcp/9100 may be a printer or an exporter. */
export function serviceNames({ services, ...files }: LoadedPolicies): ServiceNames {
  const documents = [...files.containers.values(), ...files.profiles.values(), files.defaultPolicy];
  const used = documents.flatMap((document) => [...wordsIn(document?.policy)]).filter((word) => catalogue.has(word));
  const byMeaning = new Map<string, ServiceNames['list'][number]>();
  for (const name of new Set([...services.ownNames, ...used.sort()])) {
    const resolved = services.resolve(name);
    if (!('matches' in resolved) || resolved.matches.some(({ kind }) => kind === 'any')) continue;
    const meaning = JSON.stringify(resolved.matches);
    if (!byMeaning.has(meaning)) byMeaning.set(meaning, { name, matches: resolved.matches });
  }
  const list = [...byMeaning.values()];
  return { list: list.sort((a, b) => b.matches.length - a.matches.length || (a.name < b.name ? -1 : 1)) };
}

function* wordsIn(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value;
  else if (typeof value === 'object' && value !== null) for (const part of Object.values(value)) yield* wordsIn(part);
}

/** Of both families together; a word that only one of them allows says so. */
export function describeServices(sets: ReadonlyMap<Family, ServiceSet>, names: ServiceNames): string[] {
  const words = new Map([...sets].map(([family, set]) => [family, wordsOf(set, family, names)]));
  const [four, six] = [words.get(4), words.get(6)];
  if (four === undefined || six === undefined) return [...(four ?? six ?? [])];
  return [
    ...four.map((word) => (six.includes(word) ? word : `${word} (IPv4)`)),
    ...six.flatMap((word) => (four.includes(word) ? [] : [`${word} (IPv6)`])),
  ];
}

export const isNothing = (set: ServiceSet): boolean => AXES.every((axis) => set[axis].length === 0);

function wordsOf(set: ServiceSet, family: Family, names: ServiceNames): string[] {
  const refused = complement(set, family);
  if (isNothing(refused)) return ['any'];
  // What is allowed of the protocols that nobody lists decides which of the two is the shorter list.
  if (refused.protocol.length === 0) return [`any but ${namedWords(refused, family, names).join(', ')}`];
  return namedWords(set, family, names);
}

const complement = (set: ServiceSet, family: Family): ServiceSet => ({
  tcp: subtract(universe('tcp', family), set.tcp),
  udp: subtract(universe('udp', family), set.udp),
  sctp: subtract(universe('sctp', family), set.sctp),
  icmp: subtract(universe('icmp', family), set.icmp),
  protocol: subtract(universe('protocol', family), set.protocol),
});

function namedWords(set: ServiceSet, family: Family, { list }: ServiceNames): string[] {
  const left = new Map<Axis, readonly PortRange[]>(AXES.map((axis) => [axis, set[axis]]));
  const words: string[] = [];
  for (const { name, matches } of list) {
    const wanted = matches.flatMap((match) => placesOf(match, family));
    const isHere = wanted.every(([axis, range]) => left.get(axis)?.some((each) => same(each, range)));
    if (wanted.length === 0 || !isHere) continue;
    for (const [axis, range] of wanted) left.set(axis, left.get(axis)?.filter((each) => !same(each, range)) ?? []);
    words.push(name);
  }
  return [...words.sort(), ...AXES.flatMap((axis) => plainWords(axis, left.get(axis) ?? [], family))];
}

const same = (a: PortRange, b: PortRange): boolean => a.first === b.first && a.last === b.last;

const AXIS_OF = { 6: 'tcp', 17: 'udp', 132: 'sctp' } as const;

function placesOf(match: ServiceMatch, family: Family): (readonly [Axis, PortRange])[] {
  switch (match.kind) {
    case 'any':
      return [];
    case 'protocol':
      return [['protocol', { first: match.protocol, last: match.protocol }]];
    case 'ports':
      return match.ports.map((range) => [AXIS_OF[match.protocol], range] as const);
    case 'icmp':
      if (match.family !== family || match.type === undefined) return [];
      return [['icmp', { first: match.type, last: match.type }]];
  }
}

function plainWords(axis: Axis, ranges: readonly PortRange[], family: Family): string[] {
  if (ranges.length === 0) return [];
  if (subtract(universe(axis, family), ranges).length === 0) return axis === 'protocol' ? ['other protocols'] : [axis];
  const texts = ranges.map(({ first, last }) => (first === last ? String(first) : `${first}-${last}`));
  switch (axis) {
    case 'tcp':
    case 'udp':
    case 'sctp':
      return [`${axis}/${texts.join(',')}`];
    case 'icmp':
      return ranges.map((range, index) => icmpWord(range, texts[index] ?? '', family));
    case 'protocol':
      return [`proto/${texts.join(',')}`];
  }
}

function icmpWord({ first, last }: PortRange, text: string, family: Family): string {
  const name = first === last ? [...icmpTypes[family]].find(([, type]) => type === first)?.[0] : undefined;
  return name === undefined ? `icmp${family}/${text}` : `icmp/${name}`;
}
