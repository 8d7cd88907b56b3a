/** Random configurations out of words that LXC cares about, right and wrong ones side by side. */
import fc from 'fast-check';

const ADDRESSES = [
  '192.0.2.1',
  '192.0.2.1/24',
  '192.0.2.1/24 192.0.2.255',
  '198.51.100.7/32',
  '192.0.2.1/33',
  '192.0.2.01',
  '2001:db8::1',
  '2001:db8::1/64',
  '2001:db8::/129',
  'fe80::1%eth0',
  '::ffff:192.0.2.1/128',
  'auto',
  'dev',
];
const VALUES = [
  ...['', '', '0', '1', '2', '0x1', '08', '010', '-1', 'up', 'a b\tc', '"q"', "'", '""', 'a=b', 'router', 'bridge'],
  ...['br0', 'an-interface-with-a-long-name', 'x # y', 'veth', 'veth', 'veth', 'macvlan', 'empty', 'none', 'SIGPWR'],
  ...ADDRESSES,
];
const NIC_NAMES = [
  ...[
    'type',
    'type',
    'type',
    'link',
    'name',
    'flags',
    'l2proxy',
    'veth.pair',
    'veth.mode',
    'ipv4.address',
    'ipv6.address',
  ],
  ...['ipv4.gateway', 'ipv6.gateway', 'veth.ipv4.route', 'veth.ipv6.route', 'hwaddr', 'mtu', 'macvlan.mode', 'vlan.id'],
];
const OTHER_KEYS = [
  ...['group', 'uts.name', 'net', 'net.0', 'net.010', 'start.auto', 'start.order', 'signal.halt', 'hook.start', 'hook'],
  ...['cgroup.x', 'sysctl.a', 'tty.max', 'idmap', 'cap.drop', 'mount.entry', 'bogus'],
];

const index = fc.constantFrom('0', '0', '0', '1', '00', '8');
const key = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(index, fc.constantFrom(...NIC_NAMES)).map(([i, name]) => `lxc.net.${i}.${name}`) },
  { weight: 1, arbitrary: fc.constantFrom(...OTHER_KEYS).map((name) => `lxc.${name}`) },
);
const blank = fc.constantFrom('', ' ', '\t', '  ');
const line = fc
  .tuple(blank, key, blank, blank, fc.constantFrom(...VALUES), blank)
  .map(([a, name, b, c, value, d]) => `${a}${name}${b}=${c}${value}${d}`);
const noise = fc.constantFrom('# lxc.bogus = 1', '', 'text', '\tlxc', '#');
const first = index.map((i) => `lxc.net.${i}.type = veth`);

/** Mostly a handful of lines, since a single bad one makes LXC refuse the rest. */
export const randomConfig: fc.Arbitrary<string> = fc
  .tuple(first, fc.array(fc.oneof({ weight: 9, arbitrary: line }, { weight: 1, arbitrary: noise }), { maxLength: 6 }))
  .chain(([head, lines]) =>
    fc.constantFrom('\n', '\r\n', '\r').map((newline) => [head, ...lines].join(newline) + newline),
  );
