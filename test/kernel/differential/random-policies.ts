/** Random policy files that meet often: few ports, few peers, all of the format's words. */

export type Random = {
  /** A whole number from 0 to `below` - 1. */
  readonly below: (below: number) => number;
  readonly pick: <T>(list: readonly T[]) => T;
  readonly chance: (probability: number) => boolean;
};

/** Mulberry32: the same numbers for the same seed on every machine. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (end: number): number => Math.floor(next() * end);
  const pick = <T>(list: readonly T[]): T => {
    const found = list[below(list.length)];
    if (found === undefined) throw new Error('nothing to pick from');
    return found;
  };
  return { below, pick, chance: (probability) => next() < probability };
}

const SERVICES = [
  ...['tcp/80', 'tcp/79-81', 'tcp/1-65535', 'tcp/22,80-443', 'tcp/65535', 'tcp/1,3,5,7,9,11', 'ssh', 'http'],
  ...['udp/53', 'udp/5000-5010', 'udp/1-52', 'udp/65535', 'dns', 'sctp/3868', 'sctp/1-100', 'sctp/65534-65535'],
  ...['icmp', 'icmp4', 'icmp6', 'ping', 'icmp/echo-reply', 'icmp4/timestamp-request', 'icmp4/42', 'icmp6/200'],
  ...['proto/6', 'proto/17', 'proto/132', 'proto/47', 'proto/50', 'proto/253', 'any', 'any'],
];

/** More than an interval set holds: looked up by prefix length. */
const HUNDREDS = [
  ...['203.0.113.1', '203.0.113.5-203.0.113.30', '192.0.2.64/26', '198.51.100.0/25', '2001:db8::64-2001:db8::7f'],
  ...Array.from({ length: 300 }, (_, index) => `10.${index >> 8}.${index & 255}.0/25`),
  ...Array.from({ length: 300 }, (_, index) => `2001:db8:f:${index.toString(16)}::/65`),
];

/** Files besides those of containers and profiles. */
export const SHARED_FILES: Readonly<Record<string, string>> = {
  'sets/few.txt': '203.0.113.5\n2001:db8:f::5\n',
  'sets/many.txt':
    '203.0.113.1\n203.0.113.3\n203.0.113.16/29\n203.0.113.30-203.0.113.33\n192.0.2.64/26\n10.1.2.3\n2001:db8:f::/112\n2001:db8::64-2001:db8::7f\n',
  'sets/hundreds.txt': `${HUNDREDS.join('\n')}\n`,
  'sets/four.txt': '198.51.100.0/25\n100.64.0.0/10\n',
};

const PEERS = [
  ...['any', 'any', 'host', 'lan', 'internet', 'internet', 'set:few', 'set:many', 'set:hundreds', 'set:four'],
  ...['0.0.0.0/1', '128.0.0.0/1', '0.0.0.0/0', '::/0', '"2001:db8:8000::/33"', '10.0.0.0/8', '"fd00::/8"'],
  ...['203.0.113.0/25', '203.0.113.127-203.0.113.128', '203.0.113.5', '192.0.2.0/25', '192.0.2.77', '192.0.2.1'],
  ...[
    '"2001:db8:f::/64"',
    '"2001:db8::1"',
    '"2001:db8::/65"',
    '"2001:db8:f::5"',
    '198.18.0.0/28',
    '198.18.0.7-198.18.0.9',
  ],
];

const NAMES = ['"dns:known.example"', '"dns:known.example"', '"dns:unknown.example"'];

/** Containers are c0 to c(count - 1), in the groups g0 to g2. */
function peer(random: Random, count: number, action: string): string {
  if (random.chance(0.1)) return `container:c${random.below(count)}`;
  if (random.chance(0.06)) return `group:g${random.below(3)}`;
  // What is refused can't be named.
  return action === 'allow' && random.chance(0.2) ? random.pick(NAMES) : random.pick(PEERS);
}

const some = (random: Random, one: () => string): string => {
  const words = Array.from({ length: random.chance(0.3) ? 2 + random.below(2) : 1 }, one);
  return `[${[...new Set(words)].join(', ')}]`;
};

function rule(random: Random, key: 'from' | 'to', count: number): string {
  const action = random.pick(['allow', 'allow', 'allow', 'drop', 'reject', 'log']);
  const more = [
    ...(action === 'allow' && random.chance(0.1) ? ['limit: 1000/second burst 100000'] : []),
    ...(random.chance(0.1) ? [`until: ${random.pick(['2199-01-31T00:00:00Z', '2001-01-31T00:00:00Z'])}`] : []),
    ...(random.chance(0.05) ? ['enabled: false'] : []),
    ...(action !== 'log' && random.chance(0.05) ? ['log: true'] : []),
  ];
  const services = some(random, () => random.pick(SERVICES));
  const peers = some(random, () => peer(random, count, action));
  return `    - { ${[`${action}: ${services}`, `${key}: ${peers}`, ...more].join(', ')} }\n`;
}

function direction(random: Random, name: 'egress' | 'ingress', count: number): string {
  const byDefault = random.pick(['', '  default: allow\n', '  default: drop\n', '  default: reject\n']);
  const rules = Array.from({ length: 1 + random.below(7) }, () =>
    rule(random, name === 'egress' ? 'to' : 'from', count),
  );
  return `${name}:\n${byDefault}  rules:\n${rules.join('')}`;
}

const both = (random: Random, count: number): string =>
  direction(random, 'egress', count) + direction(random, 'ingress', count);

export const randomProfile = both;

/** `now`: observing ends at most 31 days from it. */
export function randomPolicy(random: Random, count: number, now: Date): string {
  const observes = random.chance(0.06)
    ? `mode: observe\nuntil: ${new Date(now.getTime() + 86_400_000).toISOString().replace(/\.\d+/, '')}\n`
    : '';
  const uses = random.chance(0.2) ? `use: [p${random.below(3)}]\n` : '';
  return `${observes}${uses}${both(random, count)}`;
}
