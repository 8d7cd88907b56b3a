/** Changes among containers that may want the same: compiled by themselves, they end in what compiling all gives. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Assembled, createAssembler, type HostInputs } from '../../controller/pass/assemble.ts';
import { NO_FACTS } from '../../policies/uplink-facts.ts';
import { plain, TestHost } from './compile-host.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];
const PLAIN = 'egress: { default: allow }\n';
const address = (text: string, ...more: string[]): string[] => [`ipv4.address = ${text}/32`, ...more];
const bridged = (last: number, ...more: string[]): string[] => ['link = br0', ...address(`203.0.113.${last}`), ...more];

interface Wants {
  readonly policies: readonly string[];
  readonly configs: readonly (readonly string[])[];
}

const ADDRESSES: Wants = {
  policies: [PLAIN, 'routes: [198.51.100.16/28]\n', 'routes: [198.51.100.20/30]\n', 'uplink: eth7\n'],
  configs: [
    // Of others, of wider routes, of the host, and nobody's.
    ...['198.51.100.10', '198.51.100.17', '198.51.100.21', '192.0.2.1', '203.0.113.1', '203.0.113.2'].map((one) =>
      address(one),
    ),
    address('198.51.100.10', 'veth.ipv4.route = 198.51.100.16/29'),
    address('203.0.113.3', 'veth.ipv4.route = 192.0.2.128/25'),
    address('203.0.113.4', 'veth.pair = same'),
  ],
};
const PORTS: Wants = {
  policies: [
    PLAIN,
    'publish: [{ tcp: 8000-8010 }]\ningress: { default: allow }\n',
    'publish: [{ tcp: 8010, to: 80, on: 192.0.2.1 }]\ningress: { default: allow }\n',
    'publish: [{ tcp: 25, on: 198.51.100.10 }]\n',
    'masquerade: 198.51.100.10\n',
  ],
  configs: ['198.51.100.10', '203.0.113.1', '203.0.113.2', '203.0.113.3'].map((one) => address(one)),
};
const HARDWARE: Wants = {
  policies: [PLAIN],
  configs: [
    ...[5, 6, 7].map((last) => bridged(last, 'hwaddr = 02:00:00:00:00:07')),
    bridged(8),
    address('203.0.113.1'),
    address('203.0.113.1'),
    address('203.0.113.2'),
  ],
};

const RULES: Wants = {
  policies: [
    PLAIN,
    `# the same at another place\n${PLAIN}`,
    'use: [base]\n',
    'use: [base, other]\n',
    'use: [base]\negress: { log: true }\n',
    'use: [base]\nlimits: { egress: 100Mbit }\n',
    'use: [base]\nmasquerade: true\n',
    'uplink: eth0\n',
    'use: [base]\nexpect: [{ drop: ssh, from: any }]\n',
    'ingress: { rules: [{ allow: ssh, from: 192.0.2.0/24 }] }\nexpect: [{ drop: ssh, from: lan }]\n',
    'ingress: { rules: [{ allow: ssh, from: ["container:a", "container:b"] }] }\n',
    'ingress: { rules: [{ allow: ssh, from: "container:nobody" }] }\n',
    'interfaces: { eth1: { ingress: { default: allow } } }\n',
    'egress: 1\n',
  ],
  configs: [
    ...['203.0.113.1', '203.0.113.2', '203.0.113.3', '203.0.113.4', '203.0.113.5'].map((one) => address(one)),
    address('203.0.113.6', 'veth.pair = same'),
    address('203.0.113.7', 'name = eth1'),
    address('203.0.113.8', 'veth.ipv4.route = 203.0.113.64/28'),
  ],
};

const PROFILES = [
  '',
  'ingress: { rules: [{ allow: ssh, from: any }] }\n',
  '# lower\ningress: { rules: [{ allow: ssh, from: any }] }\n',
  'ingress: { rules: [{ allow: http, from: any, until: "2027-01-01T00:00:00Z" }] }\n',
  'ingress: { rules: [{ allow: squids, from: any }] }\n',
  'egress: { rules: [{ allow: https, to: "dns:deb.example" }] }\n',
  'routes: [203.0.113.128/28]\n',
];

type Event = (host: TestHost) => unknown;
const name = fc.constantFrom(...NAMES);
const run: fc.Arbitrary<Event> = fc
  .tuple(name, fc.constantFrom('start', 'stop'), fc.nat(19))
  .map(([who, what, chance]) => (host: TestHost) => {
    if (what === 'stop') host.stop(who);
    // Rarely a veth that another has too, or has given up.
    else host.start(who, ['same', 'vetha'][chance]);
  });
const edit = ({ policies, configs }: Wants): fc.Arbitrary<Event> =>
  fc.oneof(
    fc.tuple(name, fc.constantFrom(...policies)).map(
      ([who, text]) =>
        (host: TestHost) =>
          host.policy(`containers/${who}.yaml`, text),
    ),
    fc.tuple(name, fc.constantFrom(...configs)).map(
      ([who, lines]) =>
        (host: TestHost) =>
          host.configure(who, ...lines),
    ),
    name.map((who) => (host: TestHost) => host.remove(who)),
    name.map((who) => (host: TestHost) => host.policy(`containers/${who}.yaml`, undefined)),
    fc.tuple(fc.constantFrom('base', 'other'), fc.constantFrom(...PROFILES)).map(
      ([profile, text]) =>
        (host: TestHost) =>
          host.policy(`profiles/${profile}.yaml`, text),
    ),
    fc
      .constantFrom('192.0.2.1/24', '198.51.100.17/32', '198.51.100.10/24')
      .map((link) => (host: TestHost) => host.link(link)),
  );

/** Settings that are another object are compiled as if they had changed. */
const asIfAnother = (inputs: HostInputs): HostInputs => ({ ...inputs, config: { ...inputs.config } });
const decided = ({ desired, problems }: Assembled): unknown => [plain(desired), new Map([...problems].sort())];
const chosen = ({ policies, names, ends, unenforceable, book }: Assembled): unknown => [
  [...policies].map(([id, { status, enforced }]) => [id, status, Object.entries(enforced.default)]).sort(),
  ...[names, ends, new Map([...unenforceable].sort())],
  [...book.containerNames()].sort().map((one) => [one, book.container(one)]),
];

/** How often something was compiled by itself. */
function compareAll(wants: Wants, weights: { readonly runs: number; readonly edits: number }): number {
  let byThemselves = 0;
  const size = NAMES.length;
  const event = fc.oneof({ weight: weights.runs, arbitrary: run }, { weight: weights.edits, arbitrary: edit(wants) });
  const world = fc.record({
    configs: fc.array(fc.constantFrom(...wants.configs), { minLength: size, maxLength: size }),
    policies: fc.array(fc.constantFrom(...wants.policies), { minLength: size, maxLength: size }),
    events: fc.array(event, { maxLength: 30 }),
  });
  fc.assert(
    fc.property(world, ({ configs, policies, events }) => {
      const host = new TestHost().policy('profiles/base.yaml', PROFILES[1]).policy('profiles/other.yaml', PROFILES[0]);
      for (const [index, who] of NAMES.entries())
        host.configure(who, ...(configs[index] ?? [])).policy(`containers/${who}.yaml`, policies[index]);
      const [one, other, chooser] = [createAssembler(), createAssembler(), createAssembler()];
      let before: Assembled | undefined;
      for (const apply of events) {
        apply(host);
        const inputs = { ...host.inputs(), uplinkFacts: NO_FACTS };
        const assembled = one.assemble(inputs);
        expect(chosen(assembled)).toEqual(chosen(chooser.assemble(asIfAnother(inputs))));
        // Nobody decides anew about what is the same, though it might come out otherwise by what each holds since.
        if (assembled.desired === before?.desired && assembled.problems === before.problems) continue;
        expect(decided(assembled)).toEqual(decided(other.assemble(asIfAnother(inputs))));
        // Only what compiles all of them makes the list of problems anew.
        if (assembled.problems === before?.problems) byThemselves += 1;
        before = assembled;
      }
    }),
    { numRuns: 150 },
  );
  return byThemselves;
}

const KINDS = [
  ['addresses', ADDRESSES],
  ['ports', PORTS],
  ['hardware addresses', HARDWARE],
  ['rules', RULES],
] as const;

it.each(KINDS)('%s, whatever was edited before, and whoever lost to whom', (_, wants) => {
  // Mostly starts and stops, as it is on a host.
  expect(compareAll(wants, { runs: 5, edits: 1 })).toBeGreaterThan(20);
});

it.each(KINDS)('%s, where most is edited while others run', (_, wants) => {
  expect(compareAll(wants, { runs: 1, edits: 3 })).toBeGreaterThan(20);
});

it('of one that nobody else wants anything of, whoever has a problem', () => {
  const host = new TestHost()
    .configure('a', 'ipv4.address = 198.51.100.10/32')
    .configure('b', 'ipv4.address = 198.51.100.10/32')
    .configure('c', 'ipv4.address = 203.0.113.1/32');
  const assembler = createAssembler();
  assembler.assemble(host.start('b').inputs());
  const before = assembler.assemble(host.start('a').inputs());
  const after = assembler.assemble(host.start('c').inputs());
  expect(after.problems.size).toBe(1);
  expect(after.problems).toBe(before.problems);
  expect([...after.desired.nics.keys()]).toContain('/var/lib/lxc/c/0');
});

it.each([
  ['an address', ['ipv4.address = 198.51.100.10/32'], ['ipv4.address = 198.51.100.10/32']],
  [
    'a hardware address',
    ['link = br0', 'hwaddr = 02:00:00:00:00:07', 'ipv4.address = 203.0.113.1/32'],
    ['link = br0', 'hwaddr = 02:00:00:00:00:07', 'ipv4.address = 203.0.113.2/32'],
  ],
  [
    'a veth',
    ['veth.pair = same', 'ipv4.address = 203.0.113.1/32'],
    ['veth.pair = same', 'ipv4.address = 203.0.113.2/32'],
  ],
])('of one that has %s that another waits for, though it has no problem itself', (what, a, b) => {
  const host = new TestHost().configure('a', ...a).configure('b', ...b);
  const assembler = createAssembler();
  const veth = what === 'a veth' ? 'same' : undefined;
  assembler.assemble(host.start('b', veth).inputs());
  const both = assembler.assemble(host.start('a', veth).inputs());
  expect([...both.problems.keys()]).toEqual(['/var/lib/lxc/a']);
  const freed = assembler.assemble(host.stop('b').inputs());
  expect(freed.problems.has('/var/lib/lxc/a')).toBe(false);
  expect(freed.desired.nics.get('/var/lib/lxc/a/0')?.owned).toEqual([expect.stringMatching(/\/32$/)]);
});

it("a veth that one got a moment ago is no other one's, until he gives it up", () => {
  const host = new TestHost();
  for (const [index, who] of ['a', 'b', 'c'].entries()) host.configure(who, ...address(`203.0.113.${index + 1}`));
  const [one, other] = [createAssembler(), createAssembler()];
  const vethsAfter = (apply: (host: TestHost) => TestHost): (string | undefined)[] => {
    const inputs = apply(host).inputs();
    const assembled = one.assemble(inputs);
    expect(decided(assembled)).toEqual(decided(other.assemble(asIfAnother(inputs))));
    return ['a', 'b', 'c'].map((who) => assembled.desired.nics.get(`/var/lib/lxc/${who}/0`)?.hostVeth);
  };
  vethsAfter((it) => it.start('c'));
  vethsAfter((it) => it.start('a', 'vethx'));
  expect(vethsAfter((it) => it.start('b', 'vethx'))).toEqual(['vethx', undefined, 'vethc']);
  expect(vethsAfter((it) => it.stop('a'))).toEqual([undefined, 'vethx', 'vethc']);
  vethsAfter((it) => it.start('b'));
  expect(vethsAfter((it) => it.start('a', 'vethx').start('c', 'vethb').start('b', 'vethc'))).toEqual([
    'vethx',
    'vethc',
    'vethb',
  ]);
  expect(vethsAfter((it) => it.start('a', 'vethb'))).toEqual([undefined, 'vethc', 'vethb']);
});
