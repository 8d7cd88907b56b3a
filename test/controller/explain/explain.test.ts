/** What explain says of flows that no policy decides, beside those that one does. */
import { expect, test } from 'vitest';
import { explainFlow, type FlowQuestion, verdictOfFlow } from '../../../controller/explain/explain.ts';
import { type FlowParty, parseParty } from '../../../controller/explain/flow-parties.ts';
import { describeContainer } from '../../../controller/host/containers.ts';
import { assembleAsIfRunning } from '../../../controller/pass/as-if-running.ts';
import { createAssembler, type HostInputs } from '../../../controller/pass/assemble.ts';
import { defaultConfig } from '../../../policies/config.ts';
import { parseLinks } from '../../../policies/host-network.ts';
import { loadPolicies } from '../../../policies/load-policies.ts';
import { type Family, parseAddress } from '../../../render/address.ts';
import { type DnsAddresses, parseDnsName } from '../../../render/dns-name.ts';
import { parseInterfaceName } from '../../../render/names.ts';
import { parseLxcConfig } from '../../../watchers/lxc-config/parse-config.ts';
import { LINKS, lxcConfig } from '../cli/cli-bed.ts';

const OPEN = 'egress: { default: allow }\ningress: { default: allow }\n';
const LAST = { a: 10, b: 20, shut: 30, sleeper: 40, named: 50 } as const;
const POLICIES = {
  'containers/a.yaml': OPEN,
  'containers/b.yaml':
    'ingress:\n  rules:\n    - allow: [tcp/80, icmp]\n      from: any\n    - reject: tcp/22\n      from: host\n',
  'containers/shut.yaml': 'egress: { default: reject }\n',
  'containers/sleeper.yaml': OPEN,
  'containers/named.yaml': 'egress:\n  rules:\n    - allow: http\n      to: [dns:deb.example, dns:pip.example]\n',
};

const ANSWERS: DnsAddresses = new Map(
  [parseDnsName('deb.example')].flatMap((name) =>
    name === undefined ? [] : [[name, ['203.0.113.80'].flatMap((text) => parseAddress(text) ?? [])]],
  ),
);

function inputs(
  policies: Record<string, string> = POLICIES,
  running: readonly string[] = ['a', 'b', 'shut'],
): HostInputs {
  const disk = (text: string) => ({ read: () => text, list: () => undefined });
  const containers = Object.entries(LAST).map(([name, last]) =>
    describeContainer('/lxc', name, parseLxcConfig(`/lxc/${name}/config`, disk(lxcConfig(last)))),
  );
  const veths = running.flatMap((name) => {
    const veth = parseInterfaceName(`veth-${name}`);
    return veth === undefined ? [] : [[`/lxc/${name}/0`, veth] as const];
  });
  return {
    config: defaultConfig,
    loaded: loadPolicies(new Map(Object.entries(policies))),
    containers,
    links: parseLinks(LINKS),
    veths: new Map(veths),
    lastGood: new Map(),
    answers: ANSWERS,
    now: 0,
  };
}

const party = (text: string): FlowParty => {
  const parsed = parseParty(text);
  if (typeof parsed === 'string') throw new Error(parsed);
  return parsed;
};

/** `tcp/80`, `icmp/8` or `udp/67-68` for a source port. */
function question(from: string, to: string, service: string, family: Family, source?: string): FlowQuestion {
  const [name = '', numbers = ''] = service.split('/');
  const [first = '', second] = numbers.split('-');
  const base = { from: party(from), to: party(to), family };
  const taken = source === undefined ? undefined : parseAddress(source);
  const as = taken === undefined ? {} : { source: taken };
  if (name === 'icmp') return { ...base, ...as, protocol: family === 4 ? 1 : 58, icmpType: Number(first) };
  const ports = second === undefined ? { port: Number(first) } : { sourcePort: Number(first), port: Number(second) };
  return { ...base, ...as, protocol: name === 'tcp' ? 6 : 17, ...ports };
}

function explain(...asked: Parameters<typeof question>): string {
  const all = inputs();
  const { verdict, steps } = explainFlow(
    { ...assembleAsIfRunning(all), containers: all.containers },
    question(...asked),
  );
  return `${verdict}: ${steps.map((step) => `${step.at}${step.note === undefined ? '' : ` (${step.note})`}`).join(', ')}`;
}

test.each<[...Parameters<typeof question>, string | RegExp]>([
  ['container:a', 'container:b', 'tcp/80', 4, undefined, 'allow: anti-spoofing of a, egress of a, ingress of b'],
  [
    'container:a',
    'container:b',
    'tcp/81',
    6,
    undefined,
    /^drop: .*ingress of b \(no rule matches, and the default is drop\)/,
  ],
  ['container:shut', 'container:b', 'tcp/80', 4, undefined, 'reject: anti-spoofing of shut, egress of shut'],
  ['container:a', 'container:sleeper', 'tcp/80', 4, undefined, /^allow: .*ingress of sleeper$/],
  ['host', 'container:b', 'tcp/22', 4, undefined, 'reject: ingress of b'],
  ['203.0.113.9', 'container:b', 'tcp/22', 4, undefined, /^drop: ingress of b/],
  ['203.0.113.9', 'host', 'tcp/22', 4, undefined, 'allow: this host (routewall has no rule about it)'],
  ['host', '203.0.113.9', 'tcp/22', 4, undefined, 'allow: this host (routewall has no rule about it)'],
  ['container:a', '203.0.113.9', 'tcp/22', 4, undefined, 'allow: anti-spoofing of a, egress of a'],
  ['container:a', 'host', 'tcp/22', 4, '198.51.100.20', 'drop: anti-spoofing of a (198.51.100.20 is not its own)'],
  ['198.51.100.20', 'container:a', 'tcp/22', 4, undefined, /^drop: anti-spoofing of b, egress of b/],
  // Errors pass only with their flow, whatever a policy allows; from the host itself they are its own reports.
  ['container:a', 'container:b', 'icmp/3', 4, undefined, /^drop: anti-spoofing of a, egress of a \(ICMP errors/],
  ['203.0.113.9', 'container:b', 'icmp/5', 4, undefined, /^drop: ingress of b \(ICMP errors/],
  ['container:a', 'host', 'icmp/134', 6, undefined, /^drop: anti-spoofing of a, egress of a \(ICMP errors/],
  ['host', 'container:shut', 'icmp/3', 4, undefined, /^allow: this host/],
  ['host', 'container:shut', 'icmp/135', 6, undefined, /^allow: this host \(neighbour discovery/],
  ['container:shut', 'host', 'icmp/135', 6, undefined, /^allow: .*neighbour discovery with the host/],
  ['container:shut', 'fe80::1', 'icmp/135', 6, undefined, /^allow: anti-spoofing of shut \(neighbour discovery/],
  ['container:a', 'fe80::1', 'icmp/128', 6, undefined, /^drop: anti-spoofing of a \(fe80::2 is not its own/],
  ['container:a', 'fe80::77', 'tcp/80', 6, '2001:db8:100::10', /^drop: anti-spoofing of a.*, routing/],
  ['container:a', '255.255.255.255', 'udp/67-68', 4, undefined, /^drop: .*egress of a \(a container is no DHCP server/],
  ['container:a', '255.255.255.255', 'udp/68-67', 4, undefined, 'allow: anti-spoofing of a, egress of a'],
  ['container:shut', '224.0.0.1', 'udp/5353', 4, undefined, 'reject: anti-spoofing of shut, egress of shut'],
  ['container:named', '203.0.113.80', 'tcp/80', 4, undefined, 'allow: anti-spoofing of named, egress of named'],
  [
    'container:named',
    '203.0.113.81',
    'tcp/80',
    4,
    undefined,
    /^drop: .*egress of named \(no rule matches, and the default is drop; dns:pip.example is not resolved here\)/,
  ],
  ['container:a', '127.0.0.1', 'tcp/80', 4, undefined, /^drop: .*routing/],
  ['container:a', 'container:a', 'tcp/80', 4, undefined, 'allow: inside a (it never leaves the container)'],
  ['203.0.113.9', 'container:b', 'tcp/80', 6, undefined, /^drop: .*203.0.113.9 has no IPv6 address/],
])('%s to %s by %s on IPv%d as %s', (from, to, service, family, source, expected) => {
  expect(explain(from, to, service, family, source)).toMatch(
    typeof expected === 'string' ? new RegExp(`^${expected.replace(/[()]/g, '\\$&')}$`) : expected,
  );
});

test("names the asked container's own file where several share a chain", () => {
  const all = inputs();
  const host = { ...assembleAsIfRunning(all), containers: all.containers };
  const { steps } = explainFlow(host, question('container:sleeper', 'host', 'tcp/22', 4));
  expect(steps.at(-1)?.rule).toEqual({ file: 'containers/sleeper.yaml', line: 1, text: 'default: allow' });
});

test('shuts a guarded interface that nobody claims, and its neighbours with it', () => {
  const all = inputs();
  const foreign = { ifname: 'vethX', addr_info: [{ local: '203.0.113.1', prefixlen: 24, scope: 'global' }] };
  const host = {
    ...assembleAsIfRunning({ ...all, links: parseLinks([...LINKS, foreign]) }),
    containers: all.containers,
  };
  const { verdict, steps } = explainFlow(host, question('203.0.113.9', 'container:b', 'tcp/80', 4));
  expect([verdict, steps[0]?.at]).toEqual(['drop', 'the guard']);
});

test('the host speaks to a container from the address that the kernel chooses', () => {
  const all = inputs();
  const source = (links: readonly unknown[], family: Family) => {
    const host = { ...assembleAsIfRunning({ ...all, links: parseLinks(links) }), containers: all.containers };
    return explainFlow(host, question('host', 'container:b', 'tcp/80', family)).source;
  };
  expect(source(LINKS, 4)).toBe('169.254.0.1');
  expect(source(LINKS, 6)).toBe('2001:db8:0:1::1');
  expect(source([], 6)).toBe('fe80::1');
});

test('what runs keeps its address against what is only assumed to run', () => {
  const all = inputs(undefined, ['sleeper']);
  const rival = describeContainer(
    '/lxc',
    'aaa',
    parseLxcConfig('/lxc/aaa/config', { read: () => lxcConfig(40), list: () => undefined }),
  );
  const containers = [rival, ...all.containers];
  const host = { ...assembleAsIfRunning({ ...all, containers }), containers };
  expect(explainFlow(host, question('container:sleeper', 'host', 'tcp/22', 4)).verdict).toBe('allow');
  const refused = explainFlow(host, question('container:aaa', 'host', 'tcp/22', 4));
  expect(refused.steps).toEqual([
    { at: 'anti-spoofing of aaa', verdict: 'drop', rule: null, note: '198.51.100.40 is not its own' },
  ]);
});

test('judges a flow that conntrack knows by its addresses alone', () => {
  const assembled = createAssembler().assemble(inputs());
  const verdict = (source: string, destination: string, port: number) => {
    const [from, to] = [parseAddress(source), parseAddress(destination)];
    if (from === undefined || to === undefined) throw new Error('addresses');
    return verdictOfFlow(assembled, { source: from, destination: to, protocol: 6, port, family: 4 });
  };
  expect(verdict('198.51.100.10', '198.51.100.20', 80)).toBe('allow');
  expect(verdict('198.51.100.10', '198.51.100.20', 81)).toBe('drop');
  expect(verdict('198.51.100.30', '192.0.2.1', 80)).toBe('reject');
  expect(verdict('192.0.2.1', '198.51.100.20', 22)).toBe('reject');
  expect(verdict('203.0.113.9', '192.0.2.1', 22)).toBe('allow');
});

test("what the host's backend can't hold is told before all that the policy says", () => {
  const all = inputs();
  const unheld = new Map([['/lxc/a/0', 'masquerade and publish need nftables']]);
  const host = { ...assembleAsIfRunning(all), containers: all.containers, unheld };
  for (const [from, to] of [
    ['container:a', 'container:b'],
    ['203.0.113.9', 'container:a'],
  ] as const)
    expect(explainFlow(host, question(from, to, 'tcp/80', 4))).toMatchObject({
      verdict: 'drop',
      steps: [{ at: 'iptables of a', rule: null, note: 'masquerade and publish need nftables' }],
    });
  expect(explainFlow(host, question('203.0.113.9', 'container:b', 'tcp/80', 4)).verdict).toBe('allow');
});
