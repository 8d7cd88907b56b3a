/** Random files: what is imported never allows what the other firewall refuses, and is the same where nothing is said. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Imported, renderImportedPolicy } from '../../../policies/import/imported.ts';
import { importIncus } from '../../../policies/import/incus.ts';
import { importProxmox } from '../../../policies/import/proxmox.ts';
import { type ForeignPacket, importedVerdicts, type Verdict } from './foreign-packet.ts';
import { judgeByIncus } from './incus-meaning.ts';
import { judgeByProxmox } from './proxmox-meaning.ts';

const RUNS = { numRuns: Number(process.env['IMPORT_RUNS'] ?? 150) };

const peer = fc.constantFrom(
  ...['192.0.2.1', '192.0.2.63', '192.0.2.64', '192.0.2.127', '192.0.2.128', '203.0.113.5', '203.0.113.10'],
  ...['2001:db8:1::1', '2001:db8:1:ffff::1', '2001:db8:2::1'],
);

const packet: fc.Arbitrary<ForeignPacket> = peer.chain((address) => {
  const isSix = address.includes(':');
  return fc.record({
    direction: fc.constantFrom('egress' as const, 'ingress' as const),
    nic: fc.constantFrom(0, 1),
    peer: fc.constant(address),
    own: fc.constant(isSix ? '2001:db8:c::10' : '198.51.100.10'),
    protocol: fc.constantFrom(6, 17, 132, isSix ? 58 : 1, 47, 50),
    port: fc.constantFrom(1, 21, 22, 23, 53, 80, 137, 443, 500, 1024, 1723, 8000, 33434, 65535),
    sourcePort: fc.constantFrom(53, 137, 500, 40000),
    // Error messages and router advertisements are nobody's to decide here.
    icmpType: fc.constantFrom(...(isSix ? [128, 129, 130] : [8, 0, 13])),
    icmpCode: fc.constantFrom(0, 1),
  });
});

const packets = fc.array(packet, { minLength: 60, maxLength: 60 });

function hold(imported: Imported, list: readonly ForeignPacket[], judge: (packet: ForeignPacket) => Verdict): void {
  const { policy, findings } = imported;
  if (policy === undefined) throw new Error('no policy');
  const verdictOf = importedVerdicts({ 'containers/web.yaml': renderImportedPolicy(policy, 'x') });
  for (const each of list) {
    const [here, there] = [verdictOf(each), judge(each)];
    const what = JSON.stringify(each);
    if (findings.length === 0) expect(here, what).toBe(there);
    else if (here === 'allow') expect(there, what).toBe('allow');
  }
}

const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined });
const ports = (dash: string) => fc.constantFrom('22', '80,443', `1${dash}1023`, `22,8000${dash}65535`, '137');

describe('incus', () => {
  const subject = fc.constantFrom(
    ...['192.0.2.0/25', '192.0.2.64', '192.0.2.1-192.0.2.127', '2001:db8:1::/48', '203.0.113.5,192.0.2.128/25'],
    ...['0.0.0.0/0', '@internal', 'other'],
  );
  const rule = fc.record({
    action: fc.constantFrom('allow', 'drop', 'reject'),
    state: fc.constantFrom('enabled', 'disabled', 'logged'),
    peer: maybe(subject),
    match: fc.oneof(
      fc.constant({}),
      fc.record({ protocol: fc.constantFrom('tcp', 'udp'), destination_port: ports('-') }),
      fc.record({ protocol: fc.constantFrom('tcp', 'udp', 'icmp4', 'icmp6') }),
      fc.record({ protocol: fc.constant('udp'), source_port: fc.constantFrom('53', '137') }),
      fc.record({
        protocol: fc.constantFrom('icmp4'),
        icmp_type: fc.constantFrom('8', '0'),
        icmp_code: maybe(fc.constant('0')),
      }),
      fc.record({ protocol: fc.constant('icmp6'), icmp_type: fc.constantFrom(128, 129) }),
    ),
  });
  const acl = fc
    .record({ egress: fc.array(rule, { maxLength: 6 }), ingress: fc.array(rule, { maxLength: 6 }) })
    .map(({ egress, ingress }) => {
      const lines = (list: typeof egress, key: string) =>
        list.map(({ action, state, peer: whom, match }) => {
          const fields = Object.entries({ action, state, ...match, ...(whom === undefined ? {} : { [key]: whom }) });
          const shown = fields.flatMap(([name, value]) =>
            value === undefined ? [] : [`${name}: ${JSON.stringify(value)}`],
          );
          return `- {${shown.join(', ')}}`;
        });
      return ['egress:', ...lines(egress, 'destination'), 'ingress:', ...lines(ingress, 'source'), ''].join('\n');
    });

  test('means the same, or less', () => {
    fc.assert(
      fc.property(acl, packets, (text, list) => hold(importIncus(text), list, (each) => judgeByIncus(text, each))),
      RUNS,
    );
  });

  test('survives any text', () => {
    fc.assert(
      fc.property(mutated(acl), (text) => void importIncus(text).findings.length),
      RUNS,
    );
  });
});

describe('proxmox', () => {
  const whom = fc.constantFrom(
    ...['192.0.2.0/25', '192.0.2.64', '192.0.2.1-192.0.2.127', '2001:db8:1::/48', '203.0.113.5,192.0.2.128/25'],
    ...['office', 'dc/monitor', '+some', '+dc/some', '+guest/some', '+unknown', 'unknown', '+monitors'],
  );
  const match = fc.oneof(
    fc.constantFrom('', '-p tcp', '-p udp', '-p sctp', '-p icmp', '-p icmpv6', '-p 47', '-p gre', '-p 17'),
    ports(':').map((list) => `-p tcp -dport ${list}`),
    ports(':').map((list) => `-p udp -dport ${list}`),
    fc.constantFrom(
      '-p udp -sport 53',
      '-p icmp -icmp-type 8',
      '-p icmp -icmp-type 8/0',
      '-p icmpv6 -icmp-type echo-reply',
    ),
    fc.constantFrom('-p icmp -dport echo-request', '-log info', '-p udp -dport 53 -log nolog'),
  );
  const action = fc.constantFrom('ACCEPT', 'ACCEPT', 'DROP', 'REJECT');
  const target = fc.oneof(
    fc.tuple(action, match).map(([verdict, text]) => `${verdict} ${text}`),
    fc
      .tuple(fc.constantFrom('SSH', 'Web', 'DNS', 'Mail', 'ping', 'GRE', 'PPtP', 'Trcrt', 'SMB', 'IPsec'), action)
      .map(([macro, verdict]) => `${macro}(${verdict})`),
  );
  const rule = fc
    .record({
      off: fc.boolean(),
      way: fc.constantFrom('IN', 'OUT'),
      target,
      peer: maybe(whom),
      own: fc.integer({ max: 9, min: 0 }),
      nic: maybe(fc.constantFrom('net0', 'net1')),
    })
    .map(({ off, way, target: what, peer: other, own, nic }) => {
      const [mine, theirs] = way === 'IN' ? ['dest', 'source'] : ['source', 'dest'];
      const parts = [
        other === undefined ? '' : `-${theirs} ${other}`,
        own === 0 ? `-${mine} 198.51.100.10` : '',
        nic === undefined ? '' : `-i ${nic}`,
      ];
      return `${off ? '|' : ''}${way} ${what} ${parts.join(' ')}`;
    });
  const entries = fc.subarray(
    [
      '192.0.2.0/24',
      '!192.0.2.64/26',
      '192.0.2.64',
      '!192.0.2.127',
      '2001:db8:1::/48',
      '!2001:db8:1:ffff::/64',
      'office',
    ],
    { minLength: 0 },
  );
  const rules = fc.array(
    fc.oneof(
      { weight: 6, arbitrary: rule },
      { weight: 1, arbitrary: fc.constantFrom('GROUP one', 'GROUP two -i net1', 'GROUP none') },
    ),
    { maxLength: 8 },
  );
  const policies = fc.constantFrom(
    '',
    'policy_in: ACCEPT',
    'policy_in: REJECT',
    'policy_out: DROP',
    'policy_out: REJECT',
  );
  const guest = fc
    .record({ policies, entries, rules })
    .map(({ policies: policy, entries: set, rules: list }) =>
      [
        '[OPTIONS]',
        'enable: 1',
        policy,
        '[ALIASES]',
        'Office 203.0.113.0/29',
        '[IPSET some]',
        ...set,
        '[RULES]',
        ...list,
        '',
      ].join('\n'),
    );
  const groupRule = rule.map((text) => text.replace(/ -i net\d/, ''));
  const cluster = fc
    .record({
      entries,
      one: fc.array(groupRule, { maxLength: 3 }),
      two: fc.array(groupRule, { maxLength: 3 }),
      ban: fc.boolean(),
    })
    .map(({ entries: set, one, two, ban }) =>
      [
        ...['[ALIASES]', 'monitor 203.0.113.5', 'office 192.0.2.0/26', '[IPSET some]', ...set],
        ...(ban ? ['[IPSET blacklist]', '203.0.113.10'] : []),
        ...['[IPSET monitors]', 'monitor', '192.0.2.1', '[group one]', ...one, '[group Two]', ...two, ''],
      ].join('\n'),
    );

  test('means the same, or less', () => {
    fc.assert(
      fc.property(guest, cluster, packets, (text, shared, list) =>
        hold(importProxmox(text, { cluster: shared, setFiles: false }), list, (each) =>
          judgeByProxmox(text, shared, each),
        ),
      ),
      RUNS,
    );
  });

  test('survives any text', () => {
    fc.assert(
      fc.property(mutated(guest), mutated(cluster), (text, shared) => {
        const { policy } = importProxmox(text, { cluster: shared, setFiles: true });
        return policy === undefined || renderImportedPolicy(policy, text).length > 0;
      }),
      RUNS,
    );
  });
});

/** A valid text with some of its parts cut, doubled or replaced by what is no part of it. */
function mutated(texts: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const change = fc.record({
    at: fc.nat(),
    length: fc.nat({ max: 12 }),
    by: fc.oneof(fc.string(), fc.constantFrom('\n', '[', ']', '|', '!', '+', ',', '\0', '{}', '&a *a', '- -', '\t')),
  });
  return fc.tuple(texts, fc.array(change, { minLength: 1, maxLength: 6 })).map(([text, changes]) =>
    changes.reduce((now, { at, length, by }) => {
      const from = now.length === 0 ? 0 : at % now.length;
      return now.slice(0, from) + by + now.slice(from + length);
    }, text),
  );
}
