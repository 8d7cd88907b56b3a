/** Valid policies of every kind that the format has; words and names are nasty where the format lets them. */
import fc from 'fast-check';

/** What every random policy may name; see `randomFiles`. */
const SETS = ['short', 'long', 'both', 'none'] as const;
const GROUPS = ['ci', 'odd"group";drop'] as const;

const port = fc.integer({ min: 1, max: 65_535 });
const ports = fc.oneof(
  port.map(String),
  fc.tuple(port, port).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
);
const service = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.constantFrom('tcp', 'udp', 'sctp'), fc.array(ports, { minLength: 1, maxLength: 12 }))
      .map(([kind, list]) => `${kind}/${list.join(',')}`),
  },
  fc.constantFrom(
    ...[
      'any',
      'icmp',
      'icmp4',
      'icmp6',
      'icmp/echo-request',
      'icmp4/timestamp-request',
      'icmp6/echo-reply',
      'proto/47',
    ],
    ...['proto/0', 'proto/255', 'dns', 'ssh', 'https', 'rsync', 'nfs', 'sip', 'mine', 'mine-too'],
  ),
);
const byte = fc.integer({ min: 0, max: 255 });
const v4 = fc.tuple(fc.constantFrom(10, 100, 172, 192, 198, 203), byte, byte, byte).map((bytes) => bytes.join('.'));
const v6 = fc
  .tuple(...[0, 1, 2, 3].map(() => fc.integer({ min: 0, max: 0xffff })))
  .map((groups) => `2001:db8:${groups.map((group) => group.toString(16)).join(':')}::`);
const address = fc.oneof(
  v4,
  v6,
  fc.tuple(v4, fc.integer({ min: 0, max: 32 })).map(([text, length]) => `${text}/${length}`),
  fc.tuple(v6, fc.integer({ min: 0, max: 128 })).map(([text, length]) => `${text}/${length}`),
  fc
    .tuple(v4, byte)
    .map(([text, more]) => `${text}-${text.replace(/\d+$/, (last) => `${Math.max(Number(last), more)}`)}`),
);
const peer = fc.oneof(
  fc.constantFrom(
    'any',
    'host',
    'lan',
    'internet',
    ...SETS.map((set) => `set:${set}`),
    ...GROUPS.map((group) => `group:${group}`),
  ),
  { weight: 2, arbitrary: address },
);
/** Only an allow can go by a name. */
const named = fc.constantFrom('dns:deb.example', 'dns:*.example').filter((text) => !text.includes('*'));

const words = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }),
  fc.constantFrom('"; flush ruleset; #', "'$(reboot)'", '*/ } } table', 'é\u2028\u0000', '\\"'),
);
const until = fc.constantFrom('2020-01-01T00:00:00Z', '2100-01-31T00:00:00Z', '2099-12-31 23:59:59.5+02:00');
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 3 });

const rule = (peersKey: 'to' | 'from') =>
  fc
    .record({
      action: fc.constantFrom('allow', 'allow', 'drop', 'reject', 'log'),
      services: fc.array(service, { minLength: 1, maxLength: 4 }),
      peers: fc.array(peer, { minLength: 1, maxLength: 4 }),
      dns: fc.boolean(),
      name: optional(named),
      label: optional(words),
      comment: optional(words),
      enabled: optional(fc.boolean()),
      log: optional(fc.boolean()),
      limit: optional(fc.constantFrom('20/second', '1/day burst 1', '1000/minute burst 65535', '1000000000/second')),
      until: optional(until),
    })
    .map(({ action, services, peers, dns, name, label, comment, enabled, log, limit, until: end }) => ({
      [action]: services,
      [peersKey]: dns && name !== undefined && action === 'allow' && peersKey === 'to' ? [...peers, name] : peers,
      ...(label === undefined ? {} : { name: label }),
      ...(comment === undefined ? {} : { comment }),
      ...(enabled === undefined ? {} : { enabled }),
      ...(log === undefined || action === 'log' ? {} : { log }),
      ...(limit === undefined || action !== 'allow' ? {} : { limit }),
      ...(end === undefined ? {} : { until: end }),
    }));

const direction = (peersKey: 'to' | 'from') =>
  fc.record(
    {
      default: fc.constantFrom('drop', 'reject', 'allow'),
      log: fc.boolean(),
      rules: fc.array(rule(peersKey), { maxLength: 6 }),
    },
    { requiredKeys: [] },
  );
const nic = fc.record({ egress: direction('to'), ingress: direction('from') }, { requiredKeys: [] });

/** As the text of `containers/NAME.json`. */
export const randomPolicy: fc.Arbitrary<string> = fc
  .record(
    {
      ...{ egress: direction('to'), ingress: direction('from') },
      use: fc.subarray(['base', 'odd']),
      interfaces: fc.record({ eth0: nic }, { requiredKeys: [] }),
      observed: fc.constantFrom('observe', 'observe-egress', 'observe-ingress'),
    },
    { requiredKeys: [] },
  )
  .map(({ observed, ...rest }) =>
    JSON.stringify({ ...rest, ...(observed === undefined ? {} : { mode: observed, until: '2026-06-20T00:00:00Z' }) }),
  );

/** The files beside the containers' own. */
export const sharedFiles: Readonly<Record<string, string>> = {
  'profiles/base.yaml': 'egress: { rules: [{ allow: dns, to: host }] }\n',
  'profiles/odd.yaml': 'ingress: { default: reject, log: true, rules: [{ log: any, from: any }] }\n',
  'sets/short.txt': '203.0.113.0/25\n',
  'sets/long.txt': Array.from({ length: 40 }, (_, index) => `10.0.${2 * index}.0/24`).join('\n'),
  'sets/both.yaml': '[203.0.113.7-203.0.113.99, "2001:db8:f::/64", "2001:db8:e::1"]\n',
  'sets/none.txt': '',
  'services.yaml': 'mine: [tcp/52-54, icmp/echo-request]\nmine-too: [mine, udp/1]\n',
};

/** Groups of the containers, for their LXC configurations. */
export const groupNames: readonly string[] = GROUPS;
