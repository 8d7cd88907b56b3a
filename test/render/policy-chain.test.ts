/** One row for each thing that a rule can say; a record over each kind sees to it that none is missing. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { mergeRanges, parseRange, rangeOf } from '../../render/address.ts';
import type { HostState } from '../../render/desired.ts';
import { parseDnsName } from '../../render/dns-name.ts';
import { renderPolicyChain } from '../../render/policy-chain.ts';
import type {
  ChainOwner,
  Direction,
  PeerMatch,
  PolicyChain,
  RateLimit,
  Rule,
  ServiceMatch,
} from '../../render/rule.ts';
import { prefix } from './random-desired.ts';

const log: HostState['log'] = { group: 5, rate: '10/second' };
const plain = { log, hasBridges: false };

const ranges = (family: 4 | 6, ...texts: string[]): PeerMatch => ({
  kind: 'ranges',
  family,
  ranges: mergeRanges(texts.map((text) => rangeOf(prefix(text)))),
});
const tcp = (...ports: number[]): ServiceMatch => ({
  kind: 'ports',
  protocol: 6,
  ports: ports.map((port) => ({ first: port, last: port })),
});
const ssh = tcp(22);
const any = { kind: 'any' } as const;

const ruleOf = (rule: Partial<Rule>): Rule => ({
  peer: any,
  service: any,
  action: 'allow',
  log: false,
  origin: { file: 'web.yaml', line: 12 },
  ...rule,
});
const chainOf = (direction: Direction, ...rules: Rule[]): PolicyChain => ({
  direction,
  rules,
  default: { verdict: 'drop', log: false, origin: null },
});

/** The rules between the first, which is always the same, and the default; without their comments and hashes. */
function rendered(direction: Direction, rule: Partial<Rule>): string[] {
  const { rules } = renderPolicyChain(chainOf(direction, ruleOf(rule)), plain);
  return rules
    .slice(1, -1)
    .map((text) => text.replace(/ ?comment "[^"]*"$/, '').replace(/((?:log|limit)_)\w{12}/g, '$1…'));
}

const [DEB] = ['deb.example'].flatMap((text) => parseDnsName(text) ?? []);
if (DEB === undefined) throw new Error('a good name');
const DEB_HASH = createHash('sha256').update('deb.example').digest('hex').slice(0, 16);

type Row = readonly [rule: Partial<Rule>, egress: readonly string[], ingress: readonly string[]];

const peers: Record<PeerMatch['kind'], readonly Row[]> = {
  any: [
    [{ service: ssh }, ['tcp dport 22 accept'], ['tcp dport 22 accept']],
    [{}, ['accept'], ['accept']],
    [{ family: 4 }, ['meta nfproto ipv4 accept'], ['meta nfproto ipv4 accept']],
    [{ family: 6, service: ssh }, ['meta nfproto ipv6 tcp dport 22 accept'], ['meta nfproto ipv6 tcp dport 22 accept']],
  ],
  dns: [
    [
      { peer: { kind: 'dns', name: DEB }, service: ssh },
      [4, 6].map(
        (family) =>
          `tcp dport 22 ip${family === 6 ? 6 : ''} daddr @dns${family}_${DEB_HASH} fib daddr type != local accept`,
      ),
      [4, 6].map((family) => `tcp dport 22 ip${family === 6 ? 6 : ''} saddr @dns${family}_${DEB_HASH} accept`),
    ],
    [
      { peer: { kind: 'dns', name: DEB }, family: 6 },
      [`ip6 daddr @dns6_${DEB_HASH} fib daddr type != local accept`],
      [`ip6 saddr @dns6_${DEB_HASH} accept`],
    ],
  ],
  host: [
    [
      { peer: { kind: 'host' }, service: ssh },
      ['tcp dport 22 fib daddr type local accept'],
      ['tcp dport 22 iif 0 fib saddr type local accept'],
    ],
    [
      { peer: { kind: 'host' }, service: { kind: 'icmp', family: 6 } },
      ['meta nfproto ipv6 meta l4proto 58 fib daddr type local accept'],
      ['meta nfproto ipv6 meta l4proto 58 iif 0 fib saddr type local accept'],
    ],
  ],
  lan: [
    [
      { peer: { kind: 'lan' } },
      ['ip daddr @lan4 accept', 'ip6 daddr @lan6 accept'],
      ['ip saddr @lan4 accept', 'ip6 saddr @lan6 accept'],
    ],
    [{ peer: { kind: 'lan' }, family: 6 }, ['ip6 daddr @lan6 accept'], ['ip6 saddr @lan6 accept']],
    [
      { peer: { kind: 'lan' }, service: { kind: 'icmp', family: 4, type: 8 } },
      ['icmp type 8 ip daddr @lan4 accept'],
      ['icmp type 8 ip saddr @lan4 accept'],
    ],
  ],
  internet: [
    [
      { peer: { kind: 'internet' }, family: 4 },
      ['ip daddr != @nonpublic4 ip daddr != @lan4 oifname != @veths fib daddr type != local accept'],
      ['ip saddr != @nonpublic4 ip saddr != @lan4 iifname != @veths fib saddr type != local accept'],
    ],
    [
      { peer: { kind: 'internet' }, family: 6 },
      ['ip6 daddr != @nonpublic6 ip6 daddr != @lan6 oifname != @veths fib daddr type != local accept'],
      ['ip6 saddr != @nonpublic6 ip6 saddr != @lan6 iifname != @veths fib saddr type != local accept'],
    ],
  ],
  ranges: [
    [{ peer: ranges(4, '192.0.2.7/32') }, ['ip daddr 192.0.2.7 accept'], ['ip saddr 192.0.2.7 accept']],
    [
      { peer: ranges(6, '2001:db8::/32', '2001:dba::/32') },
      ['ip6 daddr 2001:db8::/32 accept', 'ip6 daddr 2001:dba::/32 accept'],
      ['ip6 saddr 2001:db8::/32 accept', 'ip6 saddr 2001:dba::/32 accept'],
    ],
    [
      { peer: ranges(4, '192.0.2.4/30', '192.0.2.8/32') },
      ['ip daddr 192.0.2.4-192.0.2.8 accept'],
      ['ip saddr 192.0.2.4-192.0.2.8 accept'],
    ],
    // What can't match is no rule, and never one that matches more.
    [{ peer: ranges(4) }, [], []],
    [{ peer: ranges(4, '192.0.2.7/32'), family: 6 }, [], []],
    [{ peer: ranges(4, '192.0.2.7/32'), service: { kind: 'icmp', family: 6 } }, [], []],
    [{ peer: any, service: tcp() }, [], []],
  ],
};

const services: Record<ServiceMatch['kind'], readonly Row[]> = {
  any: [[{ service: any, action: 'drop' }, ['goto egress_drop'], ['goto ingress_drop']]],
  protocol: [[{ service: { kind: 'protocol', protocol: 47 } }, ['meta l4proto 47 accept'], ['meta l4proto 47 accept']]],
  ports: [
    [
      { service: { kind: 'ports', protocol: 17, ports: [{ first: 5000, last: 5010 }] } },
      ['udp dport 5000-5010 accept'],
      ['udp dport 5000-5010 accept'],
    ],
    [
      { service: { kind: 'ports', protocol: 132, ports: [{ first: 1, last: 1 }] } },
      ['sctp dport 1 accept'],
      ['sctp dport 1 accept'],
    ],
    [
      { service: tcp(1, 3), peer: ranges(4, '192.0.2.1/32', '192.0.2.3/32'), action: 'reject' },
      [1, 3].flatMap((host) => [1, 3].map((port) => `tcp dport ${port} ip daddr 192.0.2.${host} goto egress_reject`)),
      [1, 3].flatMap((host) => [1, 3].map((port) => `tcp dport ${port} ip saddr 192.0.2.${host} goto ingress_reject`)),
    ],
  ],
  icmp: [
    [
      { service: { kind: 'icmp', family: 4 } },
      ['meta nfproto ipv4 meta l4proto 1 accept'],
      ['meta nfproto ipv4 meta l4proto 1 accept'],
    ],
    [
      { service: { kind: 'icmp', family: 6 } },
      ['meta nfproto ipv6 meta l4proto 58 accept'],
      ['meta nfproto ipv6 meta l4proto 58 accept'],
    ],
    [{ service: { kind: 'icmp', family: 4, type: 8 } }, ['icmp type 8 accept'], ['icmp type 8 accept']],
    [{ service: { kind: 'icmp', family: 6, type: 128 } }, ['icmpv6 type 128 accept'], ['icmpv6 type 128 accept']],
  ],
};

const logged = (direction: Direction): string => `limit name "log_…" log prefix " ${direction} web.yaml:12 " group 5`;

const actions: Record<Rule['action'], readonly Row[]> = {
  allow: [[{ log: true }, [logged('egress'), 'accept'], [logged('ingress'), 'accept']]],
  drop: [[{ action: 'drop' }, ['goto egress_drop'], ['goto ingress_drop']]],
  reject: [
    [
      { action: 'reject', log: true },
      [logged('egress'), 'goto egress_reject'],
      [logged('ingress'), 'goto ingress_reject'],
    ],
  ],
  log: [[{ action: 'log' }, [logged('egress')], [logged('ingress')]]],
};

const few: RateLimit = { flows: 20, per: 'second', burst: 40, shared: '0123456789abcdef' };

const bounds: readonly Row[] = [
  // What is too much is refused before the rule that allows the rest, and counts as refused.
  [
    { service: tcp(1, 3), limit: few },
    [1, 3].flatMap((port) => [`tcp dport ${port} limit name "limit_…" goto egress_drop`, `tcp dport ${port} accept`]),
    [1, 3].flatMap((port) => [`tcp dport ${port} limit name "limit_…" goto ingress_drop`, `tcp dport ${port} accept`]),
  ],
  [
    { until: 1_801_353_600, action: 'drop' },
    ['meta time < 1801353600 goto egress_drop'],
    ['meta time < 1801353600 goto ingress_drop'],
  ],
  [
    { service: ssh, until: 1_801_353_600, log: true, limit: few },
    [
      'tcp dport 22 meta time < 1801353600 limit name "log_…" log prefix " egress web.yaml:12 " group 5',
      'tcp dport 22 meta time < 1801353600 limit name "limit_…" goto egress_drop',
      'tcp dport 22 meta time < 1801353600 accept',
    ],
    [
      'tcp dport 22 meta time < 1801353600 limit name "log_…" log prefix " ingress web.yaml:12 " group 5',
      'tcp dport 22 meta time < 1801353600 limit name "limit_…" goto ingress_drop',
      'tcp dport 22 meta time < 1801353600 accept',
    ],
  ],
];

describe.each(
  Object.entries({
    ...peers,
    'service any': services.any,
    protocol: services.protocol,
    ports: services.ports,
    icmp: services.icmp,
    ...actions,
    bounds,
  }),
)('%s', (_kind, rows) => {
  it.each(rows.map(([rule, egress, ingress]) => [JSON.stringify(rule, withoutBigInt), rule, egress, ingress] as const))(
    'renders %s',
    (_text, rule, egress, ingress) => {
      expect(rendered('egress', rule)).toEqual(egress);
      expect(rendered('ingress', rule)).toEqual(ingress);
    },
  );
});

const withoutBigInt = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);

describe('a chain', () => {
  it('begins with what no policy can allow, and ends with its default', () => {
    expect(renderPolicyChain(chainOf('egress'), plain).rules).toEqual(['jump never', 'goto egress_drop']);
    expect(renderPolicyChain(chainOf('ingress'), plain).rules).toEqual(['jump orphans', 'goto ingress_drop']);
  });

  it.each([
    ['allow', 'accept', 'accept'],
    ['drop', 'goto egress_drop', 'goto ingress_drop'],
    ['reject', 'goto egress_reject', 'goto ingress_reject'],
  ] as const)('has the default %s, with its place and its log', (verdict, egress, ingress) => {
    const origin = { file: 'web.yaml', line: 3 };
    for (const [direction, statement] of [
      ['egress', egress],
      ['ingress', ingress],
    ] as const) {
      const chain = {
        direction,
        rules: [],
        default: { verdict, log: true, origin },
        owner: { container: 'web', id: 'web' },
      };
      const { rules, sets } = renderPolicyChain(chain, {
        log: { group: 'kernel', rate: '1/minute' },
        hasBridges: false,
      });
      const [limit] = sets.keys();
      expect([...sets.values()].map(({ spec }) => spec)).toEqual(['rate 1/minute;']);
      expect(rules.slice(1)).toEqual([
        `limit name "${limit}" log prefix "web ${direction} web.yaml:3 " level info comment "web.yaml:3"`,
        `${statement} comment "web.yaml:3"`,
      ]);
    }
  });

  it('tells containers on bridges from the internet by their addresses, where there are any', () => {
    const chain = chainOf('ingress', ruleOf({ peer: { kind: 'internet' }, family: 6 }));
    expect(renderPolicyChain(chain, { log, hasBridges: true }).rules[1]).toMatch(
      /^ip6 saddr != @nonpublic6 ip6 saddr != @lan6 iifname != @veths ip6 saddr != @bridged_held6 fib saddr type != local /,
    );
  });

  it('that observes refuses from its end on, and lets pass and counts until then; nothing counts twice', () => {
    const observed = (...rules: readonly Rule[]) => {
      const observe = { until: 1_801_353_600, origin: { file: 'web.yaml', line: 1 } };
      const text = renderPolicyChain({ ...chainOf('egress', ...rules), observe }, plain)
        .rules.slice(1)
        .join('\n');
      return text.replaceAll(/limit_\w+/g, 'limit_…').split('\n');
    };
    expect(observed(ruleOf({ service: ssh, limit: few, action: 'allow' }), ruleOf({ action: 'log' }))).toEqual([
      'tcp dport 22 meta time < 1801353600 limit name "limit_…" goto egress_observe comment "web.yaml:1"',
      'tcp dport 22 meta time >= 1801353600 limit name "limit_…" goto egress_drop comment "web.yaml:12"',
      'tcp dport 22 accept comment "web.yaml:12"',
      expect.stringMatching(/^limit name "log_\w+" log prefix " egress web.yaml:12 " group 5 comment "web.yaml:12"$/),
      'meta time < 1801353600 goto egress_observe comment "web.yaml:1"',
      'meta time >= 1801353600 goto egress_drop',
    ]);
    expect(observed(ruleOf({ service: ssh, action: 'reject', until: 1_801_353_500 })).slice(0, 2)).toEqual([
      'tcp dport 22 meta time < 1801353500 meta time < 1801353600 goto egress_observe comment "web.yaml:1"',
      'tcp dport 22 meta time < 1801353500 meta time >= 1801353600 goto egress_reject comment "web.yaml:12"',
    ]);
  });

  it('lets no name out of its quotes, and no comment or prefix be longer than the kernel takes', () => {
    const name = `a";drop\n{}'$\\#${'ü'.repeat(200)}`;
    const origin = { file: `${name}.yaml`, line: 1 };
    const rule = ruleOf({ origin, log: true, action: 'reject' });
    const chain = {
      ...chainOf('egress', rule),
      default: { verdict: 'drop' as const, log: true, origin },
      owner: { container: name, id: name },
    };
    for (const text of renderPolicyChain(chain, plain).rules) {
      expect(text).not.toMatch(/[^\x20-\x7e]/);
      expect(text.split('"').length % 2).toBe(1);
      for (const [, key = '', value = ''] of text.matchAll(/(prefix|comment) "([^"]*)"/g)) {
        expect(value.length).toBeLessThanOrEqual(key === 'prefix' ? 127 : 128);
        expect(value).not.toMatch(/[;{}\\#$'\n]/);
      }
      expect(text.replaceAll(/"[^"]*"/g, '')).not.toMatch(/[;{}\\#$']/);
    }
  });
});

describe('named limits', () => {
  const limited = (owner: ChainOwner, direction: Direction, limit: RateLimit) => {
    const rule = ruleOf({ service: tcp(1, 3), peer: ranges(4, '192.0.2.1/32', '192.0.2.9/32'), limit, log: true });
    return { ...chainOf(direction, rule), owner };
  };
  const namesOf = (chain: PolicyChain, kind: 'limit' | 'log', rate = log.rate): string[] => {
    const { rules, sets } = renderPolicyChain(chain, { log: { ...log, rate }, hasBridges: false });
    const used = rules.flatMap((rule) => [...rule.matchAll(/limit name "(\w+)"/g)].map(([, name = '']) => name));
    expect(new Set(used)).toEqual(new Set(sets.keys()));
    return [...sets.keys()].filter((name) => name.startsWith(kind));
  };
  const web: ChainOwner = { container: 'web', id: 'web' };
  const one = limited(web, 'egress', few);

  it('count all alternatives of a rule together', () => {
    expect(namesOf(one, 'limit')).toHaveLength(1);
    const [, { spec } = { spec: '' }] =
      [...renderPolicyChain(one, plain).sets].find(([name]) => name.startsWith('limit')) ?? [];
    expect(spec).toBe('rate over 20/second burst 40 packets;');
  });

  it('are another for another container, NIC, direction, rule or rate', () => {
    const others = [
      one,
      limited({ container: 'db', id: 'db' }, 'egress', few),
      limited({ container: 'web', id: '/srv/lxc/web' }, 'egress', few),
      limited({ ...web, nic: 'eth0' }, 'egress', few),
      limited(web, 'ingress', few),
      limited(web, 'egress', { ...few, shared: 'fedcba9876543210' }),
      limited(web, 'egress', { ...few, flows: 21 }),
      limited(web, 'egress', { ...few, per: 'minute' }),
      limited(web, 'egress', { ...few, burst: 41 }),
    ];
    expect(new Set(others.flatMap((chain) => namesOf(chain, 'limit'))).size).toBe(others.length);
  });

  it('for logging are one for all that a container logs, of either direction and any NIC', () => {
    const same = [one, limited({ ...web, nic: 'eth0' }, 'ingress', few)].flatMap((chain) => namesOf(chain, 'log'));
    expect(new Set(same).size).toBe(1);
    const other = namesOf(limited({ container: 'web', id: '/srv/lxc/web' }, 'egress', few), 'log');
    expect(new Set([...same, ...other, ...namesOf(one, 'log', '5/minute')]).size).toBe(3);
  });

  it('give way in a prefix that would be too long to the policy line', () => {
    const origin = { file: `${'x'.repeat(200)}.yaml`, line: 4321 };
    const owner = { container: 'c'.repeat(64), id: '' };
    const chain: PolicyChain = { ...chainOf('egress'), default: { verdict: 'drop', log: true, origin }, owner };
    expect(renderPolicyChain(chain, plain).rules.at(1)).toMatch(
      / egress x+\.yaml:4321 " group 5 comment "x+\.yaml:4321"$/,
    );
  });
});

describe('many alternatives', () => {
  const hosts = (count: number): string[] => Array.from({ length: count }, (_, index) => `192.0.2.${2 * index}/32`);

  it('unroll up to four, and become a named set from five on', () => {
    const four = renderPolicyChain(chainOf('egress', ruleOf({ peer: ranges(4, ...hosts(4)) })), plain);
    expect(four.sets.size).toBe(0);
    expect(four.rules).toHaveLength(6);
    const five = renderPolicyChain(chainOf('egress', ruleOf({ peer: ranges(4, ...hosts(5)) })), plain);
    expect(five.rules[1]).toMatch(/^ip daddr @peers4_[0-9a-f]{12} accept/);
    expect([...five.sets.values()]).toEqual([
      {
        kind: 'set',
        spec: 'type ipv4_addr; flags interval;',
        dynamic: false,
        elements: new Map(hosts(5).map((text) => [text.slice(0, -3), ''])),
      },
    ]);
  });

  it('of hundreds of ranges are a hash set for each prefix length, which nft need not read at each change', () => {
    const networks = Array.from({ length: 260 }, (_, index) => `10.0.${index >> 1}.${(index & 1) * 128}/26`);
    const peer = ranges(4, ...networks, '192.0.2.6/31', '192.0.2.8/32');
    const { rules, sets } = renderPolicyChain(chainOf('egress', ruleOf({ peer, service: ssh })), plain);
    const names = [...sets.keys()];
    expect(rules.slice(1, 4).map((text) => text.replace(/ comment.*/, ''))).toEqual([
      `tcp dport 22 ip daddr @${names[0]} accept`,
      `tcp dport 22 ip daddr & 255.255.255.254 @${names[1]} accept`,
      `tcp dport 22 ip daddr & 255.255.255.192 @${names[2]} accept`,
    ]);
    const of26 = networks.map((text) => text.slice(0, -3));
    expect([...sets.values()].map(({ spec, elements }) => [spec, [...elements.keys()]])).toEqual(
      [['192.0.2.8'], ['192.0.2.6'], of26].map((list) => ['type ipv4_addr;', list]),
    );
  });

  it('of hundreds of ranges that are no prefixes stay as they are', () => {
    const list = Array.from(
      { length: 300 },
      (_, index) => parseRange(`10.${index >> 8}.${index & 255}.1-10.${index >> 8}.${index & 255}.126`) ?? [],
    ).flat();
    const peer: PeerMatch = { kind: 'ranges', family: 4, ranges: list };
    const { sets } = renderPolicyChain(chainOf('egress', ruleOf({ peer, service: ssh })), plain);
    expect([...sets.values()].map(({ spec }) => spec)).toEqual(['type ipv4_addr; flags interval;']);
  });

  it('share a set where they say the same, in either direction and with any protocol', () => {
    const udp: ServiceMatch = {
      ...tcp(1, 3, 5, 7, 9),
      kind: 'ports',
      protocol: 17,
      ports: [1, 3, 5, 7, 9].map((port) => ({ first: port, last: port })),
    };
    const egress = renderPolicyChain(chainOf('egress', ruleOf({ service: tcp(1, 3, 5, 7, 9) })), plain);
    const ingress = renderPolicyChain(chainOf('ingress', ruleOf({ service: udp })), plain);
    expect([...egress.sets]).toEqual([...ingress.sets]);
    expect([...egress.sets.keys()][0]).toMatch(/^ports_[0-9a-f]{12}$/);
    expect([...egress.sets.values()][0]?.spec).toBe('type inet_service; flags interval;');
  });
});
