/** A policy chain read back from nft's listing of it: what the kernel does now, whoever wrote it and when. */
import { icmpTypes } from '../../policies/icmp-types.ts';
import { parseLimit } from '../../policies/rate-limit.ts';
import {
  type AddressRange,
  addressNumber,
  type Family,
  mergeRanges,
  networkOf,
  parseAddress,
  parsePrefix,
  parseRange,
  rangeOf,
} from '../../render/address.ts';
import { dnsNameOfSet } from '../../render/dns-sets.ts';
import { maskOf } from '../../render/owned.ts';
import type {
  Direction,
  Origin,
  PeerMatch,
  PolicyChain,
  PortRange,
  RateLimit,
  Rule,
  ServiceMatch,
  Verdict,
} from '../../render/rule.ts';
import type { NftTable } from '../../render/ruleset.ts';

interface Draft {
  family?: Family;
  peer: PeerMatch;
  service: ServiceMatch;
  action?: Verdict;
  observes?: true;
  until?: number;
  limit?: RateLimit;
}

type Apply = (draft: Draft, words: readonly string[], table: NftTable) => boolean;

/** `undefined` where a rule isn't in the words that render/policy-chain.ts uses: then nothing is known of the chain. */
export function parsePolicyChain(table: NftTable, name: string, direction: Direction): PolicyChain | undefined {
  const rules: ListedRule[] = [];
  let limit: RateLimit | undefined;
  let observe: PolicyChain['observe'];
  for (const line of table.chains.get(name)?.rules ?? []) {
    if (line === 'jump never' || line === 'jump orphans') continue;
    const rule = parseRule(line, table);
    if (rule === undefined) return undefined;
    if (rule === 'no verdict') continue;
    if ('observe' in rule) {
      observe = rule.observe;
      continue;
    }
    // What is too much is refused in front of the rule that allows the rest.
    if (rule.limit !== undefined) limit = rule.limit;
    else {
      rules.push(limit === undefined ? rule : { ...rule, limit });
      limit = undefined;
    }
  }
  const last = rules.at(-1);
  const isDefault = last !== undefined && isUnconditional(last);
  const byDefault = isDefault ? { verdict: last.action, origin: last.origin } : FALLEN_THROUGH;
  return {
    direction,
    rules: (isDefault ? rules.slice(0, -1) : rules).map((rule) => ({ ...rule, origin: rule.origin ?? NOWHERE })),
    default: { ...byDefault, log: false },
    ...(observe === undefined ? {} : { observe }),
  };
}

const isUnconditional = ({ peer, service, family, limit, until }: ListedRule): boolean =>
  peer.kind === 'any' && service.kind === 'any' && [family, limit, until].every((condition) => condition === undefined);

type ListedRule = Omit<Rule, 'origin' | 'action'> & { readonly action: Verdict; readonly origin: Origin | null };

/** Somebody else took the default away: the maps lead here by `goto`, and the packet goes on after our hook. */
const FALLEN_THROUGH = { verdict: 'allow', origin: null } as const;
const NOWHERE: Origin = { file: '', line: 1 };

/** What stands in front of a refusal while a chain observes. */
type Observation = Required<Pick<PolicyChain, 'observe'>>;

/** A rule that only logs decides nothing. */
function parseRule(line: string, table: NftTable): ListedRule | Observation | 'no verdict' | undefined {
  const draft: Draft = { peer: { kind: 'any' }, service: { kind: 'any' } };
  const [comment = '', text = ''] = /\s*comment "([^"]*)"$/.exec(line) ?? [];
  const [, file, place] = /^(.*):(\d+)$/.exec(text) ?? [];
  let rest = line.slice(0, line.length - comment.length);
  while (rest !== '') {
    const found = takeWords(rest, draft, table);
    if (found === undefined) return undefined;
    rest = rest.slice(found).trimStart();
  }
  const { action, observes, ...matches } = draft;
  const origin = file === undefined ? null : { file, line: Number(place) };
  if (observes === true) {
    return draft.until === undefined ? undefined : { observe: { until: draft.until, origin: origin ?? NOWHERE } };
  }
  if (action === undefined) return 'no verdict';
  return { ...matches, action, log: false, origin };
}

/** How many characters of the text were understood. */
function takeWords(text: string, draft: Draft, table: NftTable): number | undefined {
  for (const [pattern, apply] of WORDS) {
    const match = pattern.exec(text);
    if (match !== null) return apply(draft, match.slice(1), table) ? match[0].length : undefined;
  }
  return undefined;
}

/** More specific patterns first. */
const WORDS: readonly (readonly [RegExp, Apply])[] = [
  [/^meta nfproto ipv([46])\b/, (draft, [family]) => setFamily(draft, family === '6' ? 6 : 4)],
  // `internet` is the only peer that says what it is not; a name, besides, that it isn't this host.
  [
    /^ip(6?) [sd]addr != @(?:lan|nonpublic|bridged_held)[46]\b/,
    (draft, [six]) => setPeer(draft, { kind: 'internet' }, six),
  ],
  [/^[io]ifname != @veths\b/, (draft) => setPeer(draft, { kind: 'internet' })],
  [/^fib [sd]addr type != local\b/, (draft) => draft.peer?.kind === 'dns' || setPeer(draft, { kind: 'internet' })],
  [/^iif \S+ fib saddr type local\b/, (draft) => setPeer(draft, { kind: 'host' })],
  [/^fib [sd]addr type local\b/, (draft) => setPeer(draft, { kind: 'host' })],
  [/^ip(6?) [sd]addr @lan[46]\b/, (draft, [six]) => setPeer(draft, { kind: 'lan' }, six)],
  // Loaded as `& 255.255.255.0 @peers4_…`, which nft 1.0.6 lists with `==`.
  [/^ip(6?) [sd]addr (?:& (\S+) (?:== )?)?(\S+)/, setRanges],
  [/^(tcp|udp|sctp) dport (\S+)/, setPorts],
  [/^icmp(v6)? type (\S+)/, setIcmpType],
  [/^meta l4proto (\S+)/, setProtocol],
  [/^meta time < "(\d+-\d+-\d+) (\d+:\d+:\d+)"/, setUntil],
  // The rule before it, until then, observes.
  [/^meta time >= "[^"]*"/, () => true],
  [/^limit name "log_\w+"/, () => true],
  [/^limit name "(limit_(\w+))"/, setLimit],
  [/^limit rate \S+(?: burst \d+ packets)?/, () => true],
  [/^log prefix "[^"]*"(?: group \d+| level \w+)?/, () => true],
  [/^accept$/, (draft) => setAction(draft, 'allow')],
  [/^goto (?:egress|ingress)_observe$/, (draft) => setObserves(draft)],
  [/^goto (?:egress|ingress)_(drop|reject)$/, (draft, [word]) => setAction(draft, word === 'drop' ? 'drop' : 'reject')],
];

function setFamily(draft: Draft, family: Family): boolean {
  if (draft.family !== undefined && draft.family !== family) return false;
  draft.family = family;
  return true;
}

function setPeer(draft: Draft, peer: PeerMatch, six?: string): boolean {
  draft.peer = peer;
  return six === undefined || setFamily(draft, six === '6' ? 6 : 4);
}

function setAction(draft: Draft, action: Verdict): boolean {
  draft.action = action;
  return true;
}

function setObserves(draft: Draft): boolean {
  draft.observes = true;
  return true;
}

function setRanges(draft: Draft, [six = '', mask, text = '']: readonly string[], table: NftTable): boolean {
  const family = six === '6' ? 6 : 4;
  if (mask !== undefined) return setNetworks(draft, { family, mask, name: text.slice(1) }, table);
  const set = table.sets.get(text.slice(1));
  const name = set === undefined ? undefined : dnsNameOfSet(text.slice(1), set);
  if (name !== undefined) return setPeer(draft, { kind: 'dns', name }, six);
  const ranges = elementsOf(text, table).map(parseRange);
  const valid = ranges.filter((range): range is AddressRange => range?.family === family);
  draft.peer = { kind: 'ranges', family, ranges: mergeRanges(valid) };
  return valid.length === ranges.length && valid.length > 0;
}

/** Prefixes of one length, of which the set has the first addresses; one with host bits would match nothing. */
function setNetworks(
  draft: Draft,
  { family, mask, name }: { readonly family: Family; readonly mask: string; readonly name: string },
  { sets }: NftTable,
): boolean {
  const length = lengthOfMask(mask, family);
  const networks = [...(sets.get(name)?.elements.keys() ?? [])];
  const ranges = networks.flatMap((network) => {
    const prefix = parsePrefix(`${network}/${length}`);
    return prefix !== undefined && networkOf(prefix) === network ? rangeOf(prefix) : [];
  });
  draft.peer = { kind: 'ranges', family, ranges: mergeRanges(ranges) };
  return ranges.length === networks.length && ranges.length > 0;
}

function lengthOfMask(mask: string, family: Family): number | undefined {
  const address = parseAddress(mask);
  const length = address === undefined ? 0 : addressNumber(address).toString(2).replaceAll('0', '').length;
  return maskOf(family, length) === mask ? length : undefined;
}

/** Listings are made in UTC. */
function setUntil(draft: Draft, [day = '', time = '']: readonly string[]): boolean {
  draft.until = Date.parse(`${day}T${time}Z`) / 1000;
  return !Number.isNaN(draft.until);
}

/** Its declaration: `rate over 20/second burst 40 packets;` */
function setLimit(draft: Draft, [name = '', shared = '']: readonly string[], { sets }: NftTable): boolean {
  const [, rate = ''] = /^rate over (.*?)(?: packets)?;$/.exec(sets.get(name)?.spec ?? '') ?? [];
  const limit = parseLimit(rate);
  if (typeof limit === 'object') draft.limit = { ...limit, shared };
  return typeof limit === 'object';
}

const elementsOf = (text: string, { sets }: NftTable): string[] =>
  text.startsWith('@') ? [...(sets.get(text.slice(1))?.elements.keys() ?? [])] : [text];

const PORTED: Readonly<Record<string, 6 | 17 | 132>> = { tcp: 6, udp: 17, sctp: 132 };

function setPorts(draft: Draft, [name = '', text = '']: readonly string[], table: NftTable): boolean {
  const protocol = PORTED[name];
  const ports = elementsOf(text, table).map((element): PortRange => {
    const [first = '', last = first] = element.split('-');
    return { first: Number(first), last: Number(last) };
  });
  if (protocol === undefined || ports.some(({ first, last }) => !Number.isInteger(first + last))) return false;
  draft.service = { kind: 'ports', protocol, ports };
  return ports.length > 0;
}

function setIcmpType(draft: Draft, [six, text = '']: readonly string[]): boolean {
  const family = six === undefined ? 4 : 6;
  const type = /^\d+$/.test(text) ? Number(text) : icmpTypes[family].get(text);
  if (type === undefined) return false;
  draft.service = { kind: 'icmp', family, type };
  return true;
}

/** As nft names them; others come as numbers, or by names that only /etc/protocols knows. */
const PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: 1,
  igmp: 2,
  tcp: 6,
  udp: 17,
  dccp: 33,
  ipv6: 41,
  gre: 47,
  esp: 50,
  ah: 51,
  'ipv6-icmp': 58,
  icmpv6: 58,
  ospf: 89,
  comp: 108,
  vrrp: 112,
  sctp: 132,
  udplite: 136,
};

export const protocolNumber = (text: string): number | undefined =>
  /^\d+$/.test(text) ? Number(text) : PROTOCOLS[text];

function setProtocol(draft: Draft, [text = '']: readonly string[]): boolean {
  const protocol = protocolNumber(text);
  if (protocol === undefined) return false;
  if (protocol === 1) draft.service = { kind: 'icmp', family: 4 };
  else if (protocol === 58) draft.service = { kind: 'icmp', family: 6 };
  else draft.service = { kind: 'protocol', protocol };
  return true;
}
