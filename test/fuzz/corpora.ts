/** Good texts of every kind that routewall reads, from the fixtures and from recorded output of the real tools. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../fixtures/', import.meta.url));

/** All files below a folder of fixtures/ whose path matches, as text. */
function filesIn(folder: string, pattern: RegExp): string[] {
  const paths = readdirSync(root + folder, { recursive: true, withFileTypes: true });
  return paths
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`)
    .filter((path) => pattern.test(path))
    .sort()
    .map((path) => readFileSync(path, 'utf8'));
}

const recorded = (file: string): string => readFileSync(`${root}recorded/${file}`, 'utf8');
const linesOf = (...texts: readonly string[]): string[] => texts.flatMap((text) => text.split('\n')).filter(Boolean);

export const lxcConfigs = filesIn('lxc', /[/]config$|[.]conf$/);
export const policyTexts = [
  ...filesIn('cases', /policies[/](?:containers|profiles)[/]/),
  'strict: true\nlimits: { egress: 100Mbit, ingress: 1Gbit }\ninterfaces:\n  eth1: { limits: { egress: 10Mbit } }\n',
  'masquerade: 192.0.2.1\npublish: [{ tcp: 8080, to: 80, on: 192.0.2.1 }, { udp: 5000-5010 }]\nuplink: eth1\ngateway: [192.0.2.2]\ntables: [100]\n',
];
export const setTexts = filesIn('cases', /policies[/]sets[/]/);
export const serviceTexts = filesIn('cases', /policies[/]services[.]/);
export const configTexts = [
  ...filesIn('cases', /[/]routewall[.]yaml$/),
  'wires:\n  - { a: "container:r1/eth1", b: "container:r2/eth1" }\n  - { a: "container:r1/eth2", b: "interface:eth2" }\n',
  'log: { group: 5, rate: 10/second }\nconnections: { most: 100, rate: 50/second, fragments: 20/minute }\nresync: 3600\ndns: { servers: [192.0.2.53], accept: [192.0.2.0/24] }\nmetrics: { listen: "127.0.0.1:9100" }\n',
];
export const stateTexts = filesIn('cases', /[/]state[.]json$/);
export const incusTexts = filesIn('import/incus', /[/]input$/);
export const proxmoxTexts = filesIn('import/proxmox', /[/](?:input|cluster[.]fw)$/);

export const nftListings = ['nft-list-sets.txt', 'nft-list-odd-names.txt', 'nft-list-foreign.txt'].map(recorded);
export const panicListings = [
  'table inet routewall_panic {\n\tset sealed {\n\t\ttype ifname\n\t\telements = { "vethA" }\n\t}\n\n\tchain from {\n\t\ttype filter hook prerouting priority -306; policy accept;\n\t\tiifname @sealed drop\n\t}\n}\n',
];
export const foreignListings = [recorded('nft-docker.json')];
export const savedRules = [recorded('iptables-save-nft.txt')];
export const nftMonitorLines = linesOf(recorded('nft-monitor.txt'));
export const ipMonitorLines = linesOf(recorded('ip-monitor.txt'), recorded('ip-monitor-bridge.txt'));
export const tcMonitorLines = linesOf(recorded('tc-monitor.txt'));
export const qdiscTexts = [recorded('tc-qdisc.json')];
export const filterTexts = [recorded('tc-filter.json')];
export const ruleTexts = [recorded('ip-rule.json')];
export const allRoutes = [recorded('ip-route-all.json')];
export const lxcMonitorLines = linesOf(recorded('lxc-monitor.txt'));
export const unixSockets = [recorded('proc-net-unix.txt')];
/** Linux 6.18 */
export const netlinkSockets = [
  'sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n00000000c1f5a0b3 0   4242       018405d1 0        0        0     2        0        9141\n',
];
export const interfaceCounters = ['  veth0: 1116 14 0 0 0 0 0 0 906 11 0 0 0 0 0 0\n'];
/** What distributions ship, and what administrators write. */
export const sysctlTexts = [
  '# a comment\nnet.ipv4.ip_forward = 1\n-net/ipv4/conf/eth0.5/forwarding=0\nnet.ipv6.conf.*.accept_ra = 0\n',
];
export const networkTexts = ['[Match]\nName=eth* veth?\n\n[Network]\nIPForward=ipv4\nIPv6AcceptRA=no\nDHCP=yes\n'];

/** What controller/connections/conntrack-program.ts prints, of Linux 6.18 */
export const flowLines = [
  '4 6 198.51.100.10 192.0.2.1 873 - 02340001801400018008000100c633640a08000200c0000201',
  '4 17 203.0.113.80 198.51.100.10 80 - 02340001801400018008000100cb00715008000200c0000201',
  '6 58 2001:db8:100::10 2001:db8::1 - 128 0a4c000180',
];

/** nft 1.0.6, `nft --numeric -i` of a set that packets fill */
export const countedListings = [
  `table inet routewall {
	set refused_egress4 {
		typeof iifname . ip daddr . meta l4proto . th dport
		size 65535
		flags dynamic,timeout
		counter
		timeout 1h
		elements = { "veth0" . 192.0.2.53 . 17 . 53 counter packets 3 bytes 87 expires 59m40s40ms, "veth}1" . 203.0.113.80 . 6 . 25 counter packets 1 bytes 60 expires 1m }
	}
}
`,
];

/** As controller/host/monitor.ts prints them */
export const monitorAnswers = ['2\n4242\nvethAbC123\nodd name:1\n', '0\n-1\n'];

/** iproute2 6.1, `ip -j address` and `ip -j link show type veth`, less what nobody reads */
export const linkTexts = [
  JSON.stringify([
    { ifindex: 1, ifname: 'lo', link_type: 'loopback', address: '00:00:00:00:00:00', addr_info: [] },
    {
      ifindex: 2,
      ifname: 'eth0',
      link_type: 'ether',
      address: '02:00:00:00:00:02',
      addr_info: [
        { family: 'inet', local: '192.0.2.1', prefixlen: 24, scope: 'global' },
        { family: 'inet6', local: 'fe80::1', prefixlen: 128, scope: 'link' },
      ],
    },
    {
      ifindex: 9,
      ifname: 'vethB',
      link_netnsid: 3,
      addr_info: [{ local: '169.254.0.1', prefixlen: 32, scope: 'link' }],
    },
  ]),
];

/** iproute2 6.1, `ip -j -4 route show proto 119`, `ip -j neigh show proxy` */
export const routeTexts = [
  JSON.stringify([{ dst: '198.51.100.10', dev: 'vethB', scope: 'link', metric: 4096, flags: [] }]),
  JSON.stringify([{ dst: '192.0.2.10', dev: 'eth0', flags: ['proxy'], protocol: '119' }]),
];

/** What the channels' children say: nft 1.0.6 and iproute2 6.1 */
export const refusals = [
  'In file included from <cmdline>:1:1-41:\n/run/routewall/transaction.nft:2:25-25: Error: No such file or directory\nadd rule inet routewall c accept\n                        ^',
  'RTNETLINK answers: No such process\nCommand failed -:17\nCannot find device "gone"\nCommand failed -:18\n',
];
