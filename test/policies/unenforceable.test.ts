import { describe, expect, test } from 'vitest';
import { describeContainer } from '../../controller/host/containers.ts';
import { unenforceableNics } from '../../controller/host/unenforceable-nics.ts';
import type { UnenforceableNic } from '../../policies/endpoint.ts';
import { nameUnenforceable, unenforceableProblems } from '../../policies/unenforceable.ts';
import { parseLxcConfig } from '../../watchers/lxc-config/parse-config.ts';

const nic = (index: number, type: string, ...more: readonly string[]): string[] => [
  `lxc.net.${index}.type = ${type}`,
  ...more.map((line) => `lxc.net.${index}.${line}`),
];

const container = (lines: readonly string[]) => {
  const disk = { read: () => lines.join('\n'), list: () => undefined };
  return describeContainer('/lxc', 'web', parseLxcConfig('/lxc/web/config', disk));
};

const ROWS: readonly [
  kind: UnenforceableNic['kind'] | undefined,
  lines: readonly string[],
  said: RegExp | undefined,
][] = [
  [
    'macvlan',
    nic(0, 'macvlan', 'link = eth0', 'name = net0'),
    /^net0 \(macvlan on eth0\): .*go between eth0 and the container/,
  ],
  ['macvlan', [...nic(0, 'veth'), ...nic(1, 'macvlan', 'link = eth0')], /^1 \(macvlan on eth0\): /],
  ['ipvlan', nic(0, 'ipvlan', 'link = eth0'), /^0 \(ipvlan on eth0\): .*go between eth0 and the container/],
  ['vlan', nic(0, 'vlan', 'link = eth0', 'vlan.id = 7'), /the VLAN of eth0 is moved into the container/],
  ['phys', nic(0, 'phys', 'link = eth3'), /the interface eth3 itself is moved into the container/],
  ['host', nic(0, 'none'), /SHARES THE HOST'S NETWORK/],
  ['host', [...nic(0, 'none'), ...nic(1, 'none')], /SHARES THE HOST'S NETWORK/],
  ['host', [...nic(0, 'veth'), 'lxc.namespace.keep = user net'], /SHARES THE HOST'S NETWORK/],
  ['host', [...nic(0, 'veth'), 'lxc.namespace.clone = mnt pid'], /SHARES THE HOST'S NETWORK/],
  [
    'shared',
    [...nic(0, 'veth'), 'lxc.namespace.share.net = db'],
    /^the network of db: .*in the network namespace of db/,
  ],
  [undefined, nic(0, 'veth'), undefined],
  [undefined, nic(0, 'veth', 'link = lxcbr0'), undefined],
  [undefined, nic(0, 'empty'), /^empty network: .*nothing but a loopback interface to enforce it on; give it/],
  [undefined, [], /^empty network: /],
  [undefined, [...nic(0, 'none'), ...nic(1, 'empty')], /^empty network: /],
  [undefined, [...nic(0, 'empty'), ...nic(1, 'veth')], undefined],
  [undefined, [...nic(0, 'none'), ...nic(1, 'veth')], undefined],
  [undefined, [...nic(0, 'veth'), 'lxc.namespace.clone = mnt net'], undefined],
  [undefined, [...nic(0, 'veth'), 'lxc.namespace.keep = net', 'lxc.namespace.keep ='], undefined],
];

describe('a network that no rule stands before', () => {
  test.each(ROWS)('%s: %j', (kind, lines, said) => {
    const read = container(lines);
    expect(read.unenforceable?.map((one) => one.kind)).toEqual(kind === undefined ? undefined : [kind]);
    const problems = unenforceableProblems(read, { policyFile: 'containers/web.yaml', strict: false });
    if (said === undefined) expect(problems).toEqual([]);
    else expect(problems[0]?.message).toMatch(said);
  });

  test('is that of Open vSwitch where a veth hangs on a link that is no bridge of Linux', () => {
    const disk = { read: () => nic(0, 'veth', 'link = ovsbr0').join('\n'), list: () => undefined };
    const lxc = parseLxcConfig('/lxc/web/config', disk);
    const found = unenforceableNics(lxc, (link) => link === 'ovsbr0');
    expect(found.map(nameUnenforceable)).toEqual(['0 (veth on ovsbr0, which is no Linux bridge)']);
    expect(unenforceableNics(lxc, () => false)).toEqual([]);
  });

  const severity = (lines: readonly string[], policyFile: string | null, strict: boolean) =>
    unenforceableProblems(container(lines), { policyFile, strict }).map((problem) => problem.severity);

  test('is a warning, and an error where the policy is strict', () => {
    const lines = nic(0, 'macvlan', 'link = eth0');
    expect(severity(lines, 'containers/web.yaml', false)).toEqual(['warning']);
    expect(severity(lines, null, false)).toEqual(['warning']);
    expect(severity(lines, null, true)).toEqual(['error']);
  });

  test('is told to start all the same where strict has no hook that asks', () => {
    const said = (...lines: readonly string[]) =>
      unenforceableProblems(container(lines), { policyFile: 'containers/web.yaml', strict: true })[0]?.message;
    const hook = '/usr/lib/routewall/hook';
    for (const type of ['macvlan', 'empty']) {
      expect(said(...nic(0, type))).toMatch(/; strict keeps it from no start, .*: lxc\.hook\.start-host = \/usr\/lib/);
      for (const asks of [`lxc.hook.start-host = ${hook}`, `lxc.net.0.script.up = ${hook}`])
        expect(said(...nic(0, type), asks)).not.toContain('strict keeps it from no start');
      expect(said(...nic(0, type), `lxc.net.0.script.up = ${hook}`, 'lxc.net.0.script.up =')).toContain(
        'from no start',
      );
    }
  });

  test('is nothing to tell of where it is empty and nobody wrote a policy for it', () => {
    expect(severity(nic(0, 'empty'), null, true)).toEqual([]);
    expect(severity(nic(0, 'empty'), 'containers/web.yaml', true)).toEqual(['error']);
  });

  test("is an error for whoever has a policy and the host's own network", () => {
    expect(severity(nic(0, 'none'), 'containers/web.yaml', false)).toEqual(['error']);
    expect(severity(nic(0, 'none'), null, false)).toEqual(['warning']);
  });

  test('is told at its place in the configuration', () => {
    const [problem] = unenforceableProblems(container([...nic(0, 'veth'), ...nic(1, 'phys', 'link = eth3')]), {
      policyFile: null,
      strict: false,
    });
    expect(problem).toMatchObject({ file: '/lxc/web/config', line: 2, column: 1 });
  });
});
