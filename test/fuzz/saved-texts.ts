/** What routewall itself writes to be read again, as its own code would write it. */

const places = { file: 'containers/web.yaml', line: 3, column: 5, message: 'unknown service "htp"', severity: 'error' };

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
  order: json({ order: 'apply', confirmSeconds: 60, by: 'root' }, { order: 'rollback', to: null, by: 'root' }),
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
  }),
} as const;
