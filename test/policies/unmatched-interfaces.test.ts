import { expect, test } from 'vitest';
import { describeContainer } from '../../controller/host/containers.ts';
import type { Container } from '../../policies/endpoint.ts';
import { loadPolicies } from '../../policies/load-policies.ts';
import { unmatchedInterfaces, withInterfaces } from '../../policies/unmatched-interfaces.ts';
import { parseLxcConfig } from '../../watchers/lxc-config/parse-config.ts';

const container = (lxcPath: string, lines: readonly string[], wired: readonly string[] = []): Container => {
  const disk = { read: () => lines.map((line) => `lxc.net.${line}`).join('\n'), list: () => undefined };
  return describeContainer(lxcPath, 'web', parseLxcConfig(`${lxcPath}/web/config`, disk), new Set(wired));
};

const ROUTED = ['0.type = veth', '0.name = eth0'];
const MACVLAN = ['1.type = macvlan', '1.link = eth9', '1.name = mac1'];
const WIRED = ['2.type = veth', '2.name = eth2'];

const ROWS: readonly [about: string, nic: string, containers: readonly Container[], said: readonly RegExp[]][] = [
  ['its name', 'eth0', [container('/lxc', ROUTED)], []],
  ['its index', '0', [container('/lxc', ROUTED)], []],
  ['a wrong letter', 'eht0', [container('/lxc', ROUTED)], [/^warning web has no NIC eht0; it has eth0$/]],
  [
    'another kind',
    'mac1',
    [container('/lxc', [...ROUTED, ...MACVLAN])],
    [/^error mac1 \(macvlan on eth9\): no policy can be enforced, since .*; give it /],
  ],
  [
    'no NIC that a policy can be about',
    'eth0',
    [container('/lxc', MACVLAN)],
    [/it has none that a policy can be about$/],
  ],
  ['the end of a wire, which is told elsewhere', 'eth2', [container('/lxc', [...ROUTED, ...WIRED], ['eth2'])], []],
  [
    'the NIC of a namesake',
    'mac1',
    [container('/lxc', ROUTED), container('/other', ['0.type = veth', '0.name = mac1'])],
    [],
  ],
  ['a configuration of which nothing is known', 'eth0', [container('/lxc', [])], []],
];

test.each(ROWS)('`interfaces` with %s: %s', (_, nic, containers, said) => {
  const loaded = loadPolicies(
    new Map([['containers/web.yaml', `interfaces: { ${nic}: { ingress: { default: allow } } }\n`]]),
  );
  const namesakes = withInterfaces(containers, loaded).get('web') ?? [];
  expect(namesakes).toEqual(containers);
  const problems = unmatchedInterfaces(namesakes, loaded, true);
  expect(problems.map(({ severity, message }) => `${severity} ${message}`)).toEqual(
    said.map((one) => expect.stringMatching(one)),
  );
  for (const problem of problems) expect(problem).toMatchObject({ file: 'containers/web.yaml', line: 1, column: 15 });
});
