import fc from 'fast-check';
import { expect, test } from 'vitest';
import { chainHash } from '../../policies/chain-hash.ts';
import { compilePolicy } from '../../policies/compile-policy.ts';
import { loadPolicies } from '../../policies/load-policies.ts';
import { evaluateChain } from '../../policies/model.ts';
import { book, filesOf } from './compile-texts.ts';
import { type NaiveNames, type NaivePolicy, naiveVerdict } from './naive-verdict.ts';
import { packet, testHost } from './packets.ts';

const names: NaiveNames = {
  peers: {
    'container:builder': ['192.0.2.10', '2001:db8::10'],
    'group:ci': ['192.0.2.10', '192.0.2.11', '2001:db8::10'],
    'set:mirrors': ['203.0.113.0/25', '203.0.113.200-203.0.113.210', '2001:db8:f::/64'],
    'set:none': [],
  },
  services: {
    dns: ['tcp/53', 'udp/53'],
    ssh: ['tcp/22'],
    mine: ['tcp/52-54', 'icmp/echo-request'],
  },
};

const files = {
  'sets/mirrors.txt': (names.peers['set:mirrors'] ?? []).join('\n'),
  'sets/none.txt': '',
  'services.yaml': 'mine: [tcp/52-54, icmp/echo-request]',
};

/** Few values close to each other, so that rules and packets meet often. */
const port = fc.integer({ min: 50, max: 56 });
const ports = fc.oneof(
  port.map(String),
  fc.tuple(port, port).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
);
const service = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.constantFrom('tcp', 'udp', 'sctp'), fc.array(ports, { minLength: 1, maxLength: 3 }))
      .map(([kind, list]) => `${kind}/${list.join(',')}`),
  },
  fc.constantFrom('any', 'icmp', 'icmp/echo-request', 'icmp/echo-reply', 'proto/47', 'proto/6', 'dns', 'ssh', 'mine'),
);
const address = fc.constantFrom(
  '192.0.2.1',
  '192.0.2.10',
  '192.0.2.11',
  '203.0.113.1',
  '203.0.113.127',
  '203.0.113.128',
  '203.0.113.205',
  '10.0.0.1',
  '198.51.100.1',
  '2001:db8::1',
  '2001:db8::10',
  '2001:db8:f::1',
  '2001:db8:c::1',
  '2001:db8:a::1',
  'fe80::5',
);
const peer = fc.oneof(
  fc.constantFrom('any', 'host', 'lan', 'internet', ...Object.keys(names.peers)),
  address,
  fc.constantFrom(
    '192.0.2.0/28',
    '203.0.113.128/25',
    '0.0.0.0/0',
    '::/0',
    '2001:db8::/32',
    '203.0.113.100-203.0.113.130',
  ),
);
const bounds = {
  until: fc.constantFrom(
    undefined,
    undefined,
    '2026-06-01T00:00:00Z',
    '2026-06-01T02:00:00+02:00',
    '2026-06-01T00:00:01Z',
  ),
  limit: fc.constantFrom(undefined, undefined, '20/second', '3/day burst 1'),
};
const rule = fc.record({
  action: fc.constantFrom('allow' as const, 'drop' as const, 'reject' as const, 'log' as const),
  services: fc.array(service, { minLength: 1, maxLength: 3 }),
  peers: fc.array(peer, { minLength: 1, maxLength: 3 }),
  enabled: fc.constantFrom(true, true, true, false),
  ...bounds,
});
/** What refuses can't go by a name. */
const named = fc.record({
  action: fc.constantFrom('allow' as const, 'log' as const),
  services: fc.array(service, { minLength: 1, maxLength: 3 }),
  peers: fc.array(peer, { maxLength: 2 }).map((peers) => ['dns:deb.example', ...peers]),
  enabled: fc.boolean(),
  ...bounds,
});
const policy: fc.Arbitrary<NaivePolicy> = fc.record({
  rules: fc.array(fc.oneof(rule, rule, named), { maxLength: 5 }),
  default: fc.constantFrom('allow' as const, 'drop' as const, 'reject' as const),
});
const sent = fc
  .tuple(
    fc.oneof(
      fc.tuple(fc.constantFrom('tcp', 'udp', 'sctp'), port).map(([kind, number]) => `${kind}/${number}`),
      fc.constantFrom('tcp/22', 'proto/47', 'icmp/0', 'icmp/3', 'icmp/8', 'icmp/128', 'icmp/129', 'icmp/1', 'icmp/134'),
    ),
    address,
  )
  .map(([words, to]) => packet(words.replace('icmp', to.includes(':') ? 'icmp6' : 'icmp4'), to));

const textOf = ({ rules, default: verdict }: NaivePolicy): string =>
  JSON.stringify({
    egress: {
      default: verdict,
      rules: rules.map(({ action, services, peers, enabled, until, limit }) => ({
        [action]: services,
        to: peers,
        enabled,
        until,
        limit: action === 'allow' ? limit : undefined,
      })),
    },
  });

const NOW = Date.parse('2026-06-01T00:00:00Z');

const compile = (text: string) =>
  compilePolicy('web', { loaded: loadPolicies(filesOf({ ...files, 'containers/web.yaml': text })), book, now: NOW });

test('a compiled policy says of every packet what its document says', () => {
  fc.assert(
    fc.property(policy, fc.array(sent, { minLength: 5, maxLength: 20 }), (document, packets) => {
      const compiled = compile(textOf(document));
      expect(compiled.problems.filter(({ severity }) => severity === 'error')).toEqual([]);
      for (const one of packets) {
        const { verdict } = evaluateChain(compiled.default.egress, one, testHost);
        expect(verdict).toBe(naiveVerdict(document, one, testHost, { ...names, now: NOW }));
      }
    }),
    { numRuns: 400 },
  );
});

test('the order of services and peers in a rule changes no verdict', () => {
  fc.assert(
    fc.property(policy, fc.array(sent, { minLength: 5 }), (document, packets) => {
      const turned = document.rules.map((one) => ({
        ...one,
        services: one.services.toReversed(),
        peers: one.peers.toReversed(),
      }));
      const [a, b] = [document, { ...document, rules: turned }].map((one) => compile(textOf(one)).default.egress);
      for (const one of packets) {
        expect(b && evaluateChain(b, one, testHost).verdict).toBe(a && evaluateChain(a, one, testHost).verdict);
      }
    }),
    { numRuns: 100 },
  );
});

test('any text at all is compiled without a throw, and what has errors is shut', () => {
  const fragment = fc.constantFrom(
    'egress',
    'ingress',
    'rules',
    'allow',
    ': ',
    '- ',
    '\n',
    '  ',
    '[',
    ']',
    '{',
    '}',
    '"',
    "'",
    '*',
    '&a',
    '!',
    '|',
    '>',
    '#',
    ',',
    'any',
    'to',
    '\t',
    '%',
    '\uFEFF',
    '\0',
    '? ',
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(fragment, { maxLength: 30 }).map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(text, (one) => {
      const compiled = compile(one);
      if (compiled.ok) return;
      expect(compiled.problems.length).toBeGreaterThan(0);
      expect(compiled.default.egress).toMatchObject({ rules: [], default: { verdict: 'drop' } });
    }),
    { numRuns: 1000 },
  );
});

test('a hash depends on the text alone', () => {
  fc.assert(
    fc.property(policy, (document) => {
      const [a, b] = [1, 2].map(() => chainHash(compile(textOf(document)).default.egress));
      expect(a).toBe(b);
    }),
    { numRuns: 50 },
  );
});
