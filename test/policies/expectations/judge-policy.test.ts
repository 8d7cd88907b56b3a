import { describe, expect, test } from 'vitest';
import { createAssembler, problemsOf } from '../../../controller/pass/assemble.ts';
import { describeRule } from '../../../policies/describe-rule.ts';
import { formatProblem } from '../../../policies/problem.ts';
import { TestHost } from '../compile-host.ts';

/** 192.0.2.1/24 and 2001:db8::1/64 are the host's; web is 198.51.100.10, db 198.51.100.20. */
const makeHost = (): TestHost =>
  new TestHost()
    .configure('web', 'ipv4.address = 198.51.100.10', 'ipv4.gateway = 169.254.0.1', 'ipv6.address = 2001:db8:c::10')
    .configure('db', 'ipv4.address = 198.51.100.20');

type Assembler = ReturnType<typeof createAssembler>;

function assemble(host: TestHost, assembler: Assembler = createAssembler()) {
  const inputs = host.inputs();
  const assembled = assembler.assemble(inputs);
  const of = (name: string) => {
    const container = inputs.containers.find((one) => one.name === name);
    if (container === undefined) throw new Error(`${name}: not there`);
    const policy = assembled.policies.get(container.id);
    return {
      status: policy?.status,
      problems: problemsOf(assembled, container).map((problem) => formatProblem(problem)),
      egress: policy?.enforced.default.egress.rules.map((rule) => describeRule(rule, 'egress')),
    };
  };
  return { of, assembled };
}

const RULES = `egress:
  default: reject
  rules:
    - allow: https
      to: [internet, "dns:deb.example"]
    - { drop: any, to: 192.0.2.64/26 }
    - { allow: tcp/25, to: 192.0.2.0/24, limit: 5/second }
    - { allow: dns, to: host, until: "2027-01-01T00:00:00Z" }
    - { allow: ssh, to: "container:db", enabled: false }
ingress:
  rules:
    - { allow: http, from: any }
expect:
`;

const judged = (expectation: string): string[] => {
  const host = makeHost().clock('2026-06-01T00:00:00Z').policy('containers/web.yaml', `${RULES}  - ${expectation}\n`);
  return assemble(host).of('web').problems;
};

describe('what holds for every address and port is no problem', () => {
  test.each([
    '{ allow: https, to: internet }',
    '{ allow: https, to: "dns:deb.example" }',
    '{ allow: tcp/25, to: 192.0.2.128/25, comment: "within its limit" }',
    '{ allow: dns, to: host }',
    '{ drop: dns, to: internet }',
    '{ drop: ssh, to: any }',
    '{ reject: ssh, to: "container:db" }',
    '{ drop: any, to: "192.0.2.64-192.0.2.127" }',
    '{ drop: ssh, from: any }',
    '{ allow: [http, tcp/80], from: [any, "container:db"] }',
    '{ drop: [udp/1-65535, icmp, "proto/47"], from: any }',
  ])('%s', (expectation) => {
    expect(judged(expectation)).toEqual([]);
  });
});

describe('what does not hold is told with one flow and the rule that decides it', () => {
  test.each([
    [
      '{ allow: tcp/25, to: 192.0.2.0/24 }',
      'expected allow tcp/25 to 192.0.2.0/24, but tcp/25 to 192.0.2.64 is dropped by web.yaml:6:7 (drop any to 192.0.2.64/26)',
    ],
    [
      '{ drop: tcp/20-30, to: lan }',
      'expected drop tcp/20-30 to lan, but tcp/25 to 192.0.2.0 is allowed by web.yaml:7:7 (allow tcp/25 to 192.0.2.0/24, at most 5/second, 5 at once)',
    ],
    [
      '{ allow: [https, http], to: internet }',
      'expected allow https, http to internet, but tcp/80 to 1.0.0.0 is rejected by web.yaml:2:3 (default: reject)',
    ],
    [
      '{ reject: any, to: "192.0.2.100" }',
      'expected reject any to 192.0.2.100, but proto/0 to 192.0.2.100 is dropped by web.yaml:6:7 (drop any to 192.0.2.64/26)',
    ],
    [
      '{ allow: ssh, from: host }',
      'expected allow ssh from host, but tcp/22 from 169.254.0.1 is dropped by the default, drop, since no rule matches',
    ],
    [
      '{ drop: http, from: "2001:db8:ffff::/48" }',
      'expected drop http from 2001:db8:ffff::/48, but tcp/80 from 2001:db8:ffff:: is allowed by web.yaml:12:7 (allow tcp/80 from any)',
    ],
    [
      '{ allow: ssh, to: "dns:other.example" }',
      'expected allow ssh to dns:other.example, but tcp/22 to dns:other.example is rejected by web.yaml:2:3 (default: reject)',
    ],
  ])('%s', (expectation, message) => {
    expect(judged(expectation)).toEqual([`containers/web.yaml:14:5: error: ${message}`]);
  });
});

test('a name is taken for every address that it may come to mean, where something must not pass', () => {
  const policy = (expectation: string): string =>
    `egress:\n  rules:\n    - { allow: tcp/25, to: "dns:mail.example" }\nexpect:\n  - ${expectation}\n`;
  const problems = (expectation: string): string[] =>
    assemble(makeHost().policy('containers/web.yaml', policy(expectation))).of('web').problems;
  expect(problems('{ drop: tcp/25, to: internet }')).toEqual([
    'containers/web.yaml:5:5: error: expected drop tcp/25 to internet, but tcp/25 to 1.0.0.0 is allowed by web.yaml:3:7 (allow tcp/25 to dns:mail.example)',
  ]);
  // A name never comes to mean these.
  expect(problems('{ drop: tcp/25, to: [host, lan, "container:db", 10.0.0.0/8] }')).toEqual([]);
});

test('a violated expectation keeps what was good, and ends with its cause', () => {
  const assembler = createAssembler();
  const host = makeHost().policy('containers/web.yaml', 'egress: { rules: [{ allow: https, to: any }] }\n');
  expect(assemble(host, assembler).of('web')).toMatchObject({ status: 'ok', egress: ['allow tcp/443 to any'] });
  const careless = 'egress:\n  rules:\n    - { allow: any, to: any }\nexpect:\n  - { drop: tcp/25, to: any }\n';
  host.policy('containers/web.yaml', careless);
  const { status, egress, problems } = assemble(host, assembler).of('web');
  expect({ status, egress }).toEqual({ status: 'last-good', egress: ['allow tcp/443 to any'] });
  expect(problems).toEqual([
    'containers/web.yaml:5:5: error: expected drop tcp/25 to any, but tcp/25 to 1.0.0.0 is allowed by web.yaml:3:7 (allow any to any)',
  ]);
  host.policy('containers/web.yaml', careless.replace('any, to: any }\ne', 'https, to: host }\ne'));
  expect(assemble(host, assembler).of('web')).toEqual({
    status: 'ok',
    egress: ['allow tcp/443 to host'],
    problems: [],
  });
});

test('a policy that was never as expected stays shut', () => {
  const host = makeHost().policy('containers/web.yaml', `${RULES}  - { drop: https, to: any }\n`);
  expect(assemble(host).of('web')).toMatchObject({ status: 'closed', egress: [] });
});

test('what a profile expects is held by each policy that uses it, and told at the profile', () => {
  const host = makeHost()
    .policy('profiles/safe.yaml', 'expect:\n  - { drop: tcp/25, to: any }\n')
    .policy('containers/web.yaml', 'use: safe\negress: { rules: [{ allow: https, to: any }] }\n')
    .policy('containers/db.yaml', 'use: safe\negress: { rules: [{ allow: any, to: any }] }\n');
  const { of } = assemble(host);
  expect(of('web')).toMatchObject({ status: 'ok', problems: [] });
  expect(of('db')).toMatchObject({
    status: 'closed',
    problems: [
      'profiles/safe.yaml:2:5: error: db: expected drop tcp/25 to any, but tcp/25 to 1.0.0.0 is allowed by db.yaml:2:19 (allow any to any)',
    ],
  });
});

test('rules of one NIC are judged for themselves, and those that no NIC has are not', () => {
  const policy = (more: string): string =>
    `interfaces:\n  "0": { ingress: { rules: [{ allow: ssh, from: any }] } }\n${more}`;
  const expectation = 'expect:\n  - { allow: ssh, from: any }\n';
  const problems = (text: string): string[] =>
    assemble(makeHost().policy('containers/web.yaml', text)).of('web').problems;
  expect(problems(policy(expectation))).toEqual([]);
  expect(problems(policy(`ingress: { rules: [] }\n${expectation}`))).toEqual([]);
  expect(problems(expectation)).toHaveLength(1);
});

test('starts and stops change nothing of what was judged, and an address of the host does', () => {
  const assembler = createAssembler();
  const host = makeHost().policy(
    'containers/web.yaml',
    'egress:\n  rules: [{ allow: ssh, to: 203.0.113.7 }]\nexpect:\n  - { drop: ssh, to: host }\n',
  );
  const judgedOf = () => [...assemble(host, assembler).assembled.policies.values()];
  const before = judgedOf();
  host.start('web').start('db');
  const after = judgedOf();
  expect(after.map((policy, at) => policy === before[at])).toEqual([true, true]);
  host.link('192.0.2.1/24', '203.0.113.7/32');
  expect(assemble(host, assembler).of('web')).toMatchObject({
    status: 'last-good',
    egress: ['allow tcp/22 to 203.0.113.7'],
  });
});

test('a rule that ends takes the expectation with it that only it held', () => {
  const assembler = createAssembler();
  const host = makeHost()
    .clock('2026-06-01T00:00:00Z')
    .policy('containers/web.yaml', `${RULES}  - { allow: dns, to: host }\n`);
  expect(assemble(host, assembler).of('web').status).toBe('ok');
  const { status, problems, egress } = assemble(host.clock('2027-01-01T00:00:00Z'), assembler).of('web');
  expect(status).toBe('last-good');
  expect(egress?.join()).not.toContain('to host');
  expect(problems.join('\n')).toContain('web.yaml:14:5: error: expected allow dns to host, but');
});

test('an observed policy lets pass what it expects to be refused, which is told', () => {
  const observed = 'mode: observe\nuntil: 2026-06-08T00:00:00Z\negress: { rules: [{ drop: ssh, to: any }] }\n';
  const problems = (expectation: string): string[] => {
    const host = makeHost().clock('2026-06-01T00:00:00Z');
    return assemble(host.policy('containers/web.yaml', `${observed}expect: [${expectation}]\n`))
      .of('web')
      .problems.filter((line) => line.includes('expected'));
  };
  expect(problems('{ drop: ssh, to: any }')).toEqual([
    'containers/web.yaml:4:10: error: expected drop ssh to any, but tcp/22 to 1.0.0.0 is allowed by web.yaml:1:1 (mode: observe)',
  ]);
  expect(problems('{ allow: ssh, to: any }')).toEqual([]);
});
