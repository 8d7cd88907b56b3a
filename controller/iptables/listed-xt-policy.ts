/** A policy chain read back from iptables-save: what the kernel does now, whoever wrote it and when. */
import { type AddressRange, type Family, mergeRanges, parseRange } from '../../render/address.ts';
import type { DnsName } from '../../render/dns-name.ts';
import type {
  Direction,
  Origin,
  PeerMatch,
  PolicyChain,
  PortRange,
  RateLimit,
  Rule,
  Verdict,
} from '../../render/rule.ts';
import { protocolNumber } from '../kernel/listed-policy.ts';

export interface ListedSets {
  /** Of the name that a set stands for; `undefined` for every other. */
  nameOf(set: string): DnsName | undefined;
  rangesOf(set: string): readonly AddressRange[] | undefined;
}

interface Place {
  readonly family: Family;
  readonly direction: Direction;
  readonly sets: ListedSets;
}

export const NOWHERE: Origin = { file: '', line: 1 };

interface Draft {
  peer: PeerMatch;
  protocol?: number;
  ports?: readonly PortRange[];
  icmpType?: number;
  until?: number;
  limit?: Omit<RateLimit, 'shared'>;
  target?: string;
  origin: Origin | null;
}

/** `undefined` where a rule isn't in the words that render/iptables/xt-policy.ts uses, or there is no such chain. */
export function parseXtPolicy(lines: readonly string[] | undefined, place: Place): PolicyChain | undefined {
  if (lines === undefined) return undefined;
  const rules: (Rule & { readonly isDefault: boolean; readonly from: Origin | null; readonly action: Verdict })[] = [];
  let limit: RateLimit | undefined;
  let observe: PolicyChain['observe'];
  for (const line of lines) {
    if (/^-j RW-(?:NEVER|ORPHANS)$/.test(line)) continue;
    const draft = parseRule(line, place);
    const meant = draft && meaningOf(draft.target);
    if (draft === undefined || meant === undefined) return undefined;
    if (meant === 'log') continue;
    if (meant === 'observe') observe = { until: draft.until ?? 0, origin: draft.origin ?? NOWHERE };
    // What is too much is refused in front of the rule that allows the rest.
    else if (draft.limit !== undefined) limit = { ...draft.limit, shared: '' };
    else {
      const rule = ruleOf(draft, meant, place.family);
      if (rule === undefined) return undefined;
      const isDefault = limit === undefined && isUnconditional(draft);
      rules.push({ ...rule, ...(limit && { limit }), isDefault, from: draft.origin });
      limit = undefined;
    }
  }
  const last = rules.at(-1);
  const { action: verdict, from: origin } = last?.isDefault ? last : FALLEN_THROUGH;
  const kept = last?.isDefault ? rules.slice(0, -1) : rules;
  return {
    direction: place.direction,
    rules: kept.map(({ isDefault: _, from: __, ...rule }) => rule),
    default: { verdict, log: false, origin },
    ...(observe && { observe }),
  };
}

/** Somebody else took the default away: what returns from the chain is allowed. */
const FALLEN_THROUGH = { action: 'allow', from: null } as const;

const isUnconditional = ({ peer, protocol, until }: Draft): boolean =>
  peer.kind === 'any' && protocol === undefined && until === undefined;

function meaningOf(target = ''): Verdict | 'observe' | 'log' | undefined {
  if (target === 'RETURN') return 'allow';
  if (target === 'LOG' || target === 'NFLOG') return 'log';
  const [, word] = /^RW-[EI]-(DROP|REJECT|OBSERVE)$/.exec(target) ?? [];
  return word === 'DROP' ? 'drop' : word === 'REJECT' ? 'reject' : word === 'OBSERVE' ? 'observe' : undefined;
}

function ruleOf(draft: Draft, action: Verdict, family: Family): (Rule & { readonly action: Verdict }) | undefined {
  const service = serviceOf(draft, family);
  if (service === undefined) return undefined;
  const { peer, until, origin } = draft;
  return {
    family,
    peer,
    service,
    action,
    log: false,
    origin: origin ?? NOWHERE,
    ...(until !== undefined && { until }),
  };
}

function serviceOf({ protocol, ports, icmpType: type }: Draft, family: Family): Rule['service'] | undefined {
  if (protocol === undefined) return { kind: 'any' };
  if (ports !== undefined)
    return protocol === 6 || protocol === 17 || protocol === 132 ? { kind: 'ports', protocol, ports } : undefined;
  if (protocol === (family === 4 ? 1 : 58)) return { kind: 'icmp', family, ...(type !== undefined && { type }) };
  return { kind: 'protocol', protocol };
}

/** `-d 192.0.2.0/24 -p tcp -m tcp --dport 80 -m comment --comment "web.yaml:1" -j RETURN` */
function parseRule(line: string, place: Place): Draft | undefined {
  const words = [...line.matchAll(/"((?:[^"\\]|\\.)*)"|\S+/g)].map(([word, quoted]) => quoted ?? word);
  const draft: Draft = { peer: { kind: 'any' }, origin: null };
  let isNot = false;
  while (words.length > 0) {
    const option = words.shift() ?? '';
    if (option === '!') {
      isNot = true;
      continue;
    }
    const take = OPTIONS.get(option);
    if (take?.(draft, words, { ...place, isNot }) !== true) return undefined;
    isNot = false;
  }
  return draft;
}

type Take = (draft: Draft, words: string[], place: Place & { readonly isNot: boolean }) => boolean;

const skip: Take = (_, words) => words.shift() !== undefined;

const takeRange: Take = (draft, words, { family, isNot }) => {
  const range = parseRange(words.shift() ?? '');
  if (range?.family !== family || isNot) return false;
  draft.peer = { kind: 'ranges', family, ranges: [range] };
  return true;
};

/** `internet` is the only peer that says what it is not. */
const takeLocal: Take = (draft, words, { isNot }) => {
  draft.peer = { kind: isNot ? 'internet' : 'host' };
  return words.shift() === 'LOCAL';
};

const takeSet: Take = (draft, words, { family, isNot, sets }) => {
  const [set = ''] = words.splice(0, 2);
  const [name, ranges] = [sets.nameOf(set), sets.rangesOf(set)];
  if (isNot) draft.peer = { kind: 'internet' };
  else if (/^RW-lan[46]$/.test(set)) draft.peer = { kind: 'lan' };
  else if (name !== undefined) draft.peer = { kind: 'dns', name };
  else if (ranges !== undefined && set.startsWith('RW-peers'))
    draft.peer = { kind: 'ranges', family, ranges: mergeRanges(ranges) };
  else return false;
  return true;
};

const takePorts: Take = (draft, words) => {
  const ports = (words.shift() ?? '').split(',').map((text): PortRange => {
    const [first = '', last = first] = text.split(':');
    return { first: Number(first), last: Number(last) };
  });
  draft.ports = ports;
  return ports.every(({ first, last }) => Number.isInteger(first + last));
};

const takeType: Take = (draft, words) => {
  draft.icmpType = Number(words.shift());
  return Number.isInteger(draft.icmpType);
};

const UNITS: ReadonlyMap<string, RateLimit['per']> = new Map([
  ['sec', 'second'],
  ['min', 'minute'],
  ['hour', 'hour'],
  ['day', 'day'],
]);

const takeRate: Take = (draft, words) => {
  const [flows = '', unit = ''] = (words.shift() ?? '').split('/');
  const per = UNITS.get(unit);
  if (per === undefined || !Number.isInteger(Number(flows))) return false;
  draft.limit = { flows: Number(flows), per, burst: 5 };
  return true;
};

/** Those of a log are no limits of a policy. */
const takeBurst: Take = (draft, words) => {
  const burst = Number(words.shift());
  if (draft.limit !== undefined) draft.limit = { ...draft.limit, burst };
  return Number.isInteger(burst);
};

/** The last second belongs to it. */
const takeStop: Take = (draft, words) => {
  draft.until = Date.parse(`${words.shift()}Z`) / 1000 + 1;
  return !Number.isNaN(draft.until);
};

const takeOrigin: Take = (draft, words) => {
  const [, file, line] = /^(.*):(\d+)$/.exec(words.shift() ?? '') ?? [];
  draft.origin = file === undefined ? null : { file, line: Number(line) };
  return true;
};

const takeTarget: Take = (draft, words) => {
  draft.target = words.shift() ?? '';
  return true;
};

const OPTIONS: ReadonlyMap<string, Take> = new Map<string, Take>([
  ...['-s', '-d', '--src-range', '--dst-range'].map((option): [string, Take] => [option, takeRange]),
  [
    '-p',
    (draft, words) => {
      const protocol = protocolNumber(words.shift() ?? '');
      if (protocol !== undefined) draft.protocol = protocol;
      return protocol !== undefined;
    },
  ],
  ...['--dport', '--dports'].map((option): [string, Take] => [option, takePorts]),
  ...['--icmp-type', '--icmpv6-type'].map((option): [string, Take] => [option, takeType]),
  ...['--src-type', '--dst-type'].map((option): [string, Take] => [option, takeLocal]),
  ['--match-set', takeSet],
  ['--datestop', takeStop],
  // The rule before it, until then, observes.
  ['--datestart', skip],
  ['--hashlimit-above', takeRate],
  ['--hashlimit-burst', takeBurst],
  ['--comment', takeOrigin],
  ...['-j', '-g'].map((option): [string, Take] => [option, takeTarget]),
  ...['-m', '--hashlimit-upto', '--hashlimit-name', '--hashlimit-htable-expire', '--nflog-group', '--nflog-prefix'].map(
    (option): [string, Take] => [option, skip],
  ),
  ...['--log-prefix', '--log-level', '--hashlimit-mode'].map((option): [string, Take] => [option, skip]),
]);
