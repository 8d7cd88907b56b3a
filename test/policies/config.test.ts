import { describe, expect, test } from 'vitest';
import { defaultConfig, IPTABLES_GAPS, parseConfig } from '../../policies/config.ts';
import { formatProblem } from '../../policies/problem.ts';

const parse = (text: string) => parseConfig('/etc/routewall/routewall.yaml', text);

test('an empty configuration is the default', () => {
  for (const text of ['', '{}', '# nothing']) expect(parse(text)).toEqual({ config: defaultConfig, problems: [] });
  expect(defaultConfig).toEqual({
    lxcPaths: ['/var/lib/lxc'],
    uplinks: 'auto',
    guard: ['veth*'],
    withoutPolicy: 'closed',
    strict: false,
    probe: true,
    autoApply: true,
    log: { group: 5, rate: '10/second' },
    connections: { most: 8192, rate: '1000/second', fragments: '2000/second' },
    metrics: {
      textfile: { path: '/var/lib/prometheus/node-exporter/routewall.prom', optional: true },
      listen: undefined,
    },
    dns: { servers: 'system', accept: [], keepSeconds: 21600, holdSeconds: 3600 },
    wires: [],
    leases: '/var/lib/misc/dnsmasq.BRIDGE.leases',
    resyncSeconds: 60,
    backend: 'auto',
  });
});

test('every key is read', () => {
  const text = `wires: [{ a: "container:r1/eth1", b: interface:eth2 }]
lxcPaths: [/var/lib/lxc/, /]
uplinks: [eth0, wan-1]
guard: ["veth*", lab0]
withoutPolicy: open
strict: true
probe: false
autoApply: false
log: { group: kernel, rate: 5/minute }
connections: { most: 200 }
metrics: { textfile: /srv/metrics/wall.prom, listen: "[::1]:9119" }
dns: { servers: [127.0.0.1, "[2001:db8::53]:5353"], accept: [10.20.0.0/16], keep: 3600, hold: 0 }
leases: /run/dhcp/BRIDGE.leases
resync: 30
backend: nftables
`;
  expect(parse(text)).toEqual({
    config: {
      lxcPaths: ['/var/lib/lxc', '/'],
      uplinks: ['eth0', 'wan-1'],
      guard: ['veth*', 'lab0'],
      withoutPolicy: 'open',
      strict: true,
      probe: false,
      autoApply: false,
      log: { group: 'kernel', rate: '5/minute' },
      connections: { most: 200, rate: '1000/second', fragments: '2000/second' },
      metrics: {
        textfile: { path: '/srv/metrics/wall.prom', optional: false },
        listen: { kind: 'tcp', address: '::1', port: 9119 },
      },
      dns: {
        servers: ['127.0.0.1', '[2001:db8::53]:5353'],
        accept: ['10.20.0.0/16'],
        keepSeconds: 3600,
        holdSeconds: 0,
      },
      wires: [
        {
          a: {
            kind: 'container',
            container: 'r1',
            nic: 'eth1',
            place: { file: '/etc/routewall/routewall.yaml', line: 1, column: 14 },
          },
          b: { kind: 'interface', dev: 'eth2', place: { file: '/etc/routewall/routewall.yaml', line: 1, column: 38 } },
        },
      ],
      leases: '/run/dhcp/BRIDGE.leases',
      resyncSeconds: 30,
      backend: 'nftables',
    },
    problems: [],
  });
});

test('with iptables it is in force, and what doesn’t know that backend is told', () => {
  const { config, problems } = parseConfig('/etc/routewall/routewall.yaml', 'probe: true\nbackend: iptables\n');
  expect(config?.backend).toBe('iptables');
  expect(problems.map((problem) => formatProblem(problem))).toEqual([
    `/etc/routewall/routewall.yaml:2:10: warning: ${IPTABLES_GAPS}`,
  ]);
});

describe('a configuration with mistakes is none at all', () => {
  test.each([
    [
      'withoutPolicy: opened',
      '1:16: error: "withoutPolicy" is one of closed, open, not "opened": did you mean "open"?',
    ],
    ['guards: []', '1:1: error: unknown key "guards": did you mean "guard"?'],
    [
      'backend: iptable',
      '1:10: error: "backend" is one of auto, nftables, iptables, not "iptable": did you mean "iptables"?',
    ],
    ['lxcPaths: [lxc]', '1:12: error: an item of "lxcPaths" can\'t be "lxc": it must match ^/'],
    ['wires: [{ a: "container:r1/eth1" }]', '1:9: error: the wire has no "b": it needs two ends'],
    [
      'wires: [{ a: eth1, b: "interface:eth2" }]',
      '1:14: error: "a" can\'t be "eth1": it must match ^(container:[^/]+/[^/]+|interface:[^/]+)$, such as "interface:eth2"',
    ],
    [
      'wires: [{ a: "container:r1/eth1", b: "container:r1/eth1" }]',
      '1:38: error: "container:r1/eth1" is the end of two wires: a cable has one plug at each end',
    ],
    [
      'uplinks: [eth2]\nwires: [{ a: "container:r1/eth1", b: "interface:eth2" }]',
      '2:38: error: "interface:eth2" is an uplink: what comes in there would go nowhere but into the wire',
    ],
    ['log: { group: 65536 }', '1:15: error: "group" must be <= 65535'],
    ['log: { group: syslog }', '1:15: error: "group" can\'t be "syslog": it must match ^kernel$, such as "kernel"'],
    ['connections: { most: 0 }', '1:22: error: "most" must be >= 1'],
    ['log: { rate: 10 }', '1:14: error: "rate" must be text, not 10: with a unit, such as 10/second'],
    [
      'log: { rate: "1/second; drop" }',
      '1:14: error: "rate" can\'t be "1/second; drop": it must match ^[1-9][0-9]{0,5}/(second|minute|hour|day)$, such as "10/second"',
    ],
    [
      'uplinks: ["eth0; drop"]',
      '1:11: error: "eth0; drop" is no interface name: write auto, or names such as [eth0, eth1]',
    ],
    ['guard: ["*"]', '1:9: error: "*" is no interface pattern: write a name, or its beginning and *, such as "veth*"'],
    ...['0.0.0.0:9119', '[::]:9119', '192.0.2.1:9119', '[2001:db8::1]:9119'].map((address): [string, string] => [
      `metrics: { listen: "${address}" }`,
      `1:20: error: "${address}" is no loopback address, and the metrics name every container: write a path such as /run/routewall/metrics.sock, or 127.0.0.1:9119 or [::1]:9119`,
    ]),
    ...['9119', 'localhost:9119', '127.0.0.1', '127.0.0.1:0', '127.0.0.1:65536', '::1:9119', 'run/it.sock'].map(
      (address): [string, string] => [
        `metrics: { listen: "${address}" }`,
        `1:20: error: "${address}" is no place to listen: write a path such as /run/routewall/metrics.sock, or 127.0.0.1:9119 or [::1]:9119`,
      ],
    ),
    [
      `metrics: { listen: "/${'s'.repeat(107)}" }`,
      '1:20: error: a path of 108 bytes is too long for a unix socket, which takes 107',
    ],
    [
      'metrics: { textfile: /var/lib/metrics/wall.txt }',
      '1:22: error: "textfile" can\'t be "/var/lib/metrics/wall.txt": it must match ^(none|/.+[.]prom)$, such as "none"',
    ],
    ['metrics: { port: 9119 }', '1:12: error: unknown key "port": the keys here are textfile, listen'],
    ...['ns.example', '127.0.0.1:0', '127.0.0.1:53:54', '[127.0.0.1'].map((server): [string, string] => [
      `dns: { servers: ["${server}"] }`,
      `1:18: error: "${server}" is no server: write an address, or with a port 192.0.2.53:53`,
    ]),
    ['dns: { accept: [10.0.0.0/33] }', '1:17: error: "10.0.0.0/33" is no address or prefix'],
    ['dns: { keep: 1 }', '1:14: error: "keep" must be >= 60'],
    ['resync: 0', '1:9: error: "resync" must be >= 1'],
    ['- a', '1:1: error: the file must be a mapping, not a list'],
  ])('%s', (text, line) => {
    const { config, problems } = parse(text);
    expect(config).toBeUndefined();
    expect(problems.map((problem) => formatProblem(problem, '/elsewhere'))).toEqual([
      `/etc/routewall/routewall.yaml:${line}`,
    ]);
  });

  test('one that cannot be read says so', () => {
    const { config, problems } = parseConfig('routewall.yaml', Object.assign(new Error('no'), { code: 'EACCES' }));
    expect(config).toBeUndefined();
    expect(problems.map((problem) => formatProblem(problem))).toEqual([
      'routewall.yaml:1:1: error: cannot be read: permission denied',
    ]);
  });
});
