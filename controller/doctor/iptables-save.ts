/** What `iptables-save` prints, in the words in which nft tells of chains, so that one judge is asked about both. */
import type { JsonObject } from '../json-shape.ts';
import type { ForeignChain } from './foreign-ruleset.ts';

/** Whose rules they are: `iptables-legacy`, or `iptables` where nft keeps them. */
export interface SavedBy {
  readonly family: 'ip' | 'ip6';
  readonly program: string;
}

/** In the order of the text; a line that makes no sense is a rule that may match, and may do anything. */
export function parseIptablesSave(text: string, { family, program }: SavedBy): ForeignChain[] {
  const chains = new Map<string, ForeignChain & { readonly rules: JsonObject[][] }>();
  let table = '';
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) table = `${family} ${line.slice(1).trim()}`;
    const declared = /^:(\S+) (\S+)/.exec(line);
    if (declared?.[1] !== undefined) {
      const [, name, policy = '-'] = declared;
      const base = policy === '-' ? null : baseOf(table, name, policy);
      chains.set(`${table} ${name}`, { table, name, program, base, rules: [] });
    }
    const [option, name = '', ...words] = wordsOf(line);
    if (option === '-A') chains.get(`${table} ${name}`)?.rules.push(parseRule(words, family));
  }
  return [...chains.values()];
}

const PRIORITIES: Readonly<Record<string, number>> = { raw: -300, mangle: -150, nat: -100, filter: 0, security: 50 };

const baseOf = (table: string, name: string, policy: string): ForeignChain['base'] => ({
  hook: name.toLowerCase(),
  priority: PRIORITIES[table.replace(/^\S+ /, '')] ?? 0,
  policy: policy.toLowerCase(),
});

/** Words in double quotes may hold blanks. */
const wordsOf = (line: string): string[] =>
  [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(
    ([, quoted, plain]) => plain ?? (quoted ?? '').replaceAll('\\', ''),
  );

const match = (left: JsonObject, right: unknown, isNot: boolean): JsonObject => ({
  match: { op: isNot ? '!=' : '==', left, right },
});

/** Nobody can tell from here. */
const UNKNOWN: JsonObject = { match: { op: '==', left: {}, right: null } };

/** The first packet of an ordinary flow has none. */
const never = (family: 'ip' | 'ip6'): JsonObject =>
  match({ payload: { protocol: family === 'ip' ? 'ip6' : 'ip', field: 'saddr' } }, '', false);

function parseRule(words: readonly string[], family: 'ip' | 'ip6'): JsonObject[] {
  const found: JsonObject[] = [];
  let isNot = false;
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? '';
    if (word === '!') {
      isNot = true;
      continue;
    }
    const verdict = verdictOf(word, words[index + 1] ?? '');
    // A target's own options follow, to the end.
    if (verdict !== undefined) return [...found, verdict];
    const option = OPTIONS.get(word);
    const values = option?.values ?? valuesAfter(words, index);
    if (option === undefined) found.push(UNKNOWN);
    else found.push(...option.read(words[index + 1] ?? '', isNot, family));
    index += values;
    isNot = false;
  }
  return found;
}

/** How many words belong to an option that isn't known. */
function valuesAfter(words: readonly string[], index: number): number {
  const next = words.findIndex((word, at) => at > index && (word.startsWith('-') || word === '!'));
  return (next === -1 ? words.length : next) - index - 1;
}

function verdictOf(word: string, target: string): JsonObject | undefined {
  if (word === '-g') return { goto: { target } };
  if (word !== '-j') return undefined;
  switch (target) {
    case 'ACCEPT':
    case 'DROP':
    case 'RETURN':
      return { [target.toLowerCase()]: null };
    case 'REJECT':
      return { reject: null };
    case 'QUEUE':
    case 'NFQUEUE':
      return { queue: null };
    default:
      return EXTENSIONS.has(target) ? { xt: { type: 'target', name: target } } : { jump: { target } };
  }
}

/** Targets that are no chains; a chain can't have such a name. */
const EXTENSIONS = new Set(
  `AUDIT CHECKSUM CLASSIFY CLUSTERIP CONNMARK CONNSECMARK CT DNAT DNPT DSCP ECN HL HMARK IDLETIMER LED LOG MARK MASQUERADE
  NETMAP NFLOG NOTRACK RATEEST REDIRECT SECMARK SET SNAT SNPT SYNPROXY TCPMSS TCPOPTSTRIP TEE TOS TPROXY TRACE TTL ULOG`.split(
    /\s+/,
  ),
);

interface Option {
  /** How many words follow it. */
  readonly values: number;
  readonly read: (value: string, isNot: boolean, family: 'ip' | 'ip6') => JsonObject[];
}

const one = (read: (value: string, isNot: boolean, family: 'ip' | 'ip6') => JsonObject): Option => ({
  values: 1,
  read: (...args) => [read(...args)],
});
const nothing = (values: number): Option => ({ values, read: () => [] });

const interfaceOption = (key: 'iifname' | 'oifname'): Option =>
  one((value, isNot) => match({ meta: { key } }, value.replace(/\+$/, '*'), isNot));

const addressOption = (field: 'saddr' | 'daddr'): Option =>
  one((value, isNot, protocol) => {
    const [addr = '', len] = value.split('/');
    const right = len === undefined ? addr : { prefix: { addr, len: Number(len) } };
    return match({ payload: { protocol, field } }, right, isNot);
  });

const portOption = (field: 'sport' | 'dport'): Option =>
  one((value, isNot) => match({ payload: { protocol: 'th', field } }, { set: value.split(',').map(portsOf) }, isNot));

function portsOf(text: string): unknown {
  const [first = '', last] = text.split(':');
  return last === undefined ? Number(first) : { range: [Number(first || 0), Number(last || 65_535)] };
}

const states: Option = one((value, isNot) =>
  match({ ct: { key: 'state' } }, { set: value.toLowerCase().split(',') }, isNot),
);

/** Modules by themselves match nothing; what they match is said by their options. */
const OPTIONS: ReadonlyMap<string, Option> = new Map<string, Option>([
  ['-i', interfaceOption('iifname')],
  ['-o', interfaceOption('oifname')],
  ['-s', addressOption('saddr')],
  ['-d', addressOption('daddr')],
  [
    '-p',
    one((value, isNot) =>
      match({ meta: { key: 'l4proto' } }, value.replace(/^(ipv6-icmp|icmpv6)$/, 'ipv6-icmp'), isNot),
    ),
  ],
  ['-m', { values: 1, read: (value) => (SILENT_MODULES.has(value) ? [] : [UNKNOWN]) }],
  ['--dport', portOption('dport')],
  ['--dports', portOption('dport')],
  ['--sport', portOption('sport')],
  ['--sports', portOption('sport')],
  ['--ctstate', states],
  ['--state', states],
  ['--comment', nothing(1)],
  // A routing header.
  ['--rt-type', one((_value, _isNot, family) => never(family))],
  ['--rt-segsleft', nothing(1)],
  [
    '--dst-type',
    one((value, isNot) =>
      match({ fib: { result: 'type', flags: ['daddr'] } }, { set: value.toLowerCase().split(',') }, isNot),
    ),
  ],
]);

/** Whose options above say all that they match. */
const SILENT_MODULES = new Set([
  'tcp',
  'udp',
  'sctp',
  'dccp',
  'udplite',
  'multiport',
  'conntrack',
  'state',
  'comment',
  'addrtype',
  'icmp',
  'icmp6',
  'rt',
]);
