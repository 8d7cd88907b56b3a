/** What routewall itself writes to be read again, as its own code would write it. */

const places = { file: 'containers/web.yaml', line: 3, column: 5, message: 'unknown service "htp"', severity: 'error' };

const panic = {
  all: { since: '2026-01-01T00:00:00.000Z', by: 'root' },
  containers: [{ container: 'web', since: '2026-01-01T00:00:00.000Z', by: 'root' }],
  damaged: null,
};
const view = {
  inForce: 3,
  autoApply: false,
  unconfirmed: { revision: 3, previous: 2, until: '2026-01-01T00:01:00.000Z' },
  waiting: ['containers/web.yaml'],
  reason: 'confirm',
};
const listed = {
  container: 'web',
  state: 'RUNNING',
  sealed: false,
  groups: ['ci'],
  policy: {
    file: 'containers/web.yaml',
    status: 'ok',
    observing: { directions: ['egress'], until: '2026-01-31T00:00:00Z' },
  },
  nics: [
    {
      ...{ index: 0, name: 'eth0', type: 'veth', kind: 'routed', link: null, hostVeth: 'vethA' },
      ...{ addresses: ['198.51.100.10/32'], routes: [], gateways: ['169.254.0.1'], translations: ['tcp 8080 → 80'] },
    },
  ],
  unenforced: ['eth1 (macvlan on eth0)'],
  problems: [places],
};
const answer = {
  verdict: 'reject',
  ...{
    from: 'web (198.51.100.10)',
    to: 'host (192.0.2.1)',
    service: 'tcp/22',
    source: '198.51.100.10',
    destination: null,
  },
  steps: [
    { at: 'anti-spoofing of web', verdict: 'allow', rule: { file: 'config', line: 5, whole: 'lxc.net.0…' } },
    { at: 'egress of web', verdict: 'log', rule: null, note: 'its default' },
  ],
};

const json = (...values: readonly unknown[]): string[] => values.map((value) => JSON.stringify(value));

export const savedTexts = {
  status: json({
    pid: 4242,
    started: 99,
    since: '2026-01-01T00:00:00.000Z',
    enforcedAt: null,
    generation: 7,
    revision: { inForce: 1, autoApply: true, unconfirmed: null, waiting: ['containers/web.yaml'], reason: 'refused' },
    containers: [
      {
        container: 'web',
        state: 'RUNNING',
        policy: { file: 'containers/web.yaml', status: 'ok', observing: null },
        since: null,
        problems: [places],
        nics: [{ nic: 'eth0', hostVeth: 'vethA', addresses: ['198.51.100.10/32'] }],
        ends: [{ file: 'web.yaml', line: 3, until: '2027-01-31T00:00:00.000Z' }],
        refused: null,
      },
    ],
    sysctls: [{ key: 'net/ipv4/conf/vethA/forwarding', value: '1', reason: 'web' }],
    problems: [places],
    drift: { count: 0, last: null },
    watchers: { 'ip-monitor': 'synced' },
    panic,
    names: [
      {
        ...{ name: 'deb.debian.org', addresses: ['203.0.113.80'], ignored: ['192.0.2.1'] },
        ...{ answered: '2026-01-01T00:00:00.000Z', next: null, error: 'SERVFAIL' },
      },
    ],
    unread: [{ what: 'what tc holds', since: '2026-01-02T03:04:05.000Z', why: 'tc: timed out' }],
    wires: [{ a: 'container:r1/eth1', b: 'interface:eth2', state: 'down', why: null }],
    serves: { config: '/etc/routewall/routewall.yaml', policies: '/etc/routewall', lxcPaths: ['/var/lib/lxc'] },
  }),
  journal: json(
    { inForce: 3, refused: null, unconfirmed: null },
    {
      inForce: 3,
      refused: 'abc',
      unconfirmed: {
        revision: 3,
        previous: 2,
        by: 'root',
        due: { at: '2026-01-01T00:00:00.000Z', seconds: 60, boot: 'b', uptime: 12.5 },
      },
    },
  ),
  revision: json({
    number: 3,
    at: '2026-01-01T00:00:00.000Z',
    by: 'root',
    how: 'apply',
    of: null,
    files: { added: [], changed: ['containers/web.yaml'], removed: [] },
    flows: ['web gains tcp/80'],
    confirmation: 'waiting',
    digest: 'abc',
    unreadable: { 'sets/s.txt': 'permission denied' },
  }),
  lastGood: json({
    files: { 'containers/web.yaml': 'egress: { rules: [{ allow: ssh, to: "container:db" }] }\n' },
    containers: { db: ['198.51.100.11/32'] },
    groups: {},
  }),
  order: json(
    { order: 'apply', confirmSeconds: 60, by: 'root' },
    { order: 'rollback', to: null, by: 'root' },
    { order: 'panic', on: true, containers: ['web'], by: 'root' },
  ),
  preview: json({
    changed: true,
    ruleset: '-a\n+b\n',
    routes: { add: [], remove: [] },
    neighbourProxies: { add: ['192.0.2.10 dev eth0'], remove: [] },
    gateways: { add: [], remove: [] },
    flows: [{}],
    words: [{ text: 'web gains tcp/80', opens: true }],
    problems: [places],
    known: ['web'],
    panic,
  }),
  comparison: json({
    backend: 'iptables-nft',
    changed: true,
    ruleset: '-a\n+b\n',
    routes: { add: ['198.51.100.10/32 dev veth1'], remove: [] },
    neighbourProxies: { add: [], remove: [] },
    gateways: { add: [], remove: [] },
  }),
  panic: json(panic, { all: null, containers: [], damaged: null }),
  ordered: json(view),
  listed: json([listed]),
  check: json({ problems: [places], policyFiles: 3, containers: 2, known: ['web', 'db'] }),
  answers: json({ answers: [answer], lastGood: ['containers/web.yaml'] }),
} as const;
