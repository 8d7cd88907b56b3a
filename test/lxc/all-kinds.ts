/** One host with every kind of container at once, beside rules as Docker, ufw and lxc-net write them. */
import { BRIDGE_ROUTES, bridgedNic, createBridge, makeLeases, startDnsmasq, UDHCPC } from '../../sandbox/bridge.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { HOST_ADDRESSES, INTERNET } from '../../sandbox/host.ts';
import type { Place } from '../../sandbox/place.ts';
import { listen } from '../../sandbox/services.ts';
import { runIp } from '../../sandbox/wire.ts';
import { addressesOf, nic } from './routewall.ts';
import { SECOND, startTwoUplinks, type TwoUplinks } from './two-uplinks.ts';

export type Family = 4 | 6;

/** Docker's own, with the line that the doctor gives for its policy, and an administrator's before it. */
const DOCKER = [
  '-N DOCKER-USER',
  '-N DOCKER',
  '-A DOCKER-USER -o eth1 -p tcp --dport 22 -j DROP',
  '-A DOCKER-USER -i veth+ -j ACCEPT',
  '-A DOCKER-USER -o veth+ -j ACCEPT',
  '-A FORWARD -j DOCKER-USER',
  '-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
  '-A FORWARD -o docker0 -j DOCKER',
  '-A FORWARD -i docker0 -j ACCEPT',
  '-P FORWARD DROP',
];

/** As lxc-net's, but that ssh and pings to the bridge are left to Docker's policy. */
const LXC_NET = [
  '-A INPUT -i br0 -p udp --dport 67 -j ACCEPT',
  '-A FORWARD -i br0 -j ACCEPT',
  '-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
  '-A FORWARD -o br0 -p tcp --dport 80 -j ACCEPT',
  '-A FORWARD -o br0 -p udp --dport 53 -j ACCEPT',
];

const ufw = (icmp: string): string[] => [
  '-N ufw-before-input',
  '-N ufw-user-input',
  '-A ufw-before-input -i lo -j ACCEPT',
  '-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
  '-A ufw-before-input -m conntrack --ctstate INVALID -j DROP',
  `-A ufw-before-input -p ${icmp} -j ACCEPT`,
  '-A ufw-before-input -j ufw-user-input',
  '-A ufw-user-input -p tcp -m multiport --dports 22,80 -j ACCEPT',
  '-A INPUT -j ufw-before-input',
  '-P INPUT DROP',
];

const FOREIGN: readonly (readonly [program: string, lines: readonly string[]])[] = [
  ['iptables-nft', [...DOCKER, ...LXC_NET, ...ufw('icmp')]],
  ['ip6tables-nft', ufw('ipv6-icmp')],
];

const POLICIES = {
  routed: `
egress: { rules: [{ allow: tcp/80, to: any }] }
ingress: { rules: [{ allow: [tcp/80, icmp/echo-request], from: any }, { allow: ssh, from: [host, "container:leased"] }] }
`,
  hidden: `
masquerade: true
publish: [{ tcp: 8080, to: 80 }]
egress: { rules: [{ allow: [tcp/80, ssh], to: [internet, lan, "container:routed", "container:fixed"] }] }
ingress: { rules: [{ allow: ssh, from: "container:r1" }, { allow: tcp/80, from: [internet, "container:fixed"] }] }
`,
  away: `
uplink: eth1
egress: { rules: [{ allow: [tcp/80, ssh, icmp/echo-request], to: any }] }
ingress: { default: reject, rules: [{ allow: ssh, from: [lan, internet, "container:leased"] }] }
`,
  fixed: `
egress: { default: reject, rules: [{ allow: [tcp/80, udp/53], to: any }] }
ingress: { rules: [{ allow: [tcp/80, ssh, udp/53], from: any }] }
`,
  leased: `
egress: { default: allow }
ingress: { default: reject, rules: [{ allow: [ssh, icmp/echo-request], from: any }] }
`,
  r1: 'egress: { default: allow }\nlimits: { egress: 50mbit, ingress: 50mbit }\n',
  r2: 'ingress: { default: allow }\n',
} as const;

type Name = keyof typeof POLICIES;
const NAMES = ['routed', 'hidden', 'away', 'fixed', 'leased', 'r1', 'r2'] as const satisfies readonly Name[];
export const PARTIES = ['first', 'second', 'host', ...NAMES] as const;
export type Party = (typeof PARTIES)[number];

const FIXED = ['198.51.100.150', '2001:db8:200::150'] as const;

export interface AllKinds {
  readonly rw: TwoUplinks;
  readonly containers: readonly Container[];
  readonly place: (party: Party) => Place;
  /** `undefined`: it has none, as what has a lease in IPv4 alone. */
  readonly address: (party: Party, family: Family) => string | undefined;
}

const wired = (last: number): string[] =>
  ['type = veth', 'flags = up', 'name = eth1', `ipv4.address = 203.0.113.${last}/28`].map(
    (line) => `lxc.net.1.${line}`,
  );

const LINES: Readonly<Record<Name, readonly string[]>> = {
  routed: nic(addressesOf(10)),
  hidden: nic(addressesOf(11)),
  away: nic(addressesOf(14)),
  fixed: bridgedNic(FIXED, { hwaddr: '02:16:3e:00:00:01' }),
  leased: bridgedNic([], { hwaddr: '02:16:3e:00:00:02' }),
  r1: [...nic(addressesOf(12)), ...wired(12)],
  r2: [...nic(addressesOf(13)), ...wired(13)],
};

/** All run, are enforced, and serve the tests' ports when it returns. `look`: at the host before there is any of us. */
export async function startAllKinds(look: (host: Place) => Promise<void>): Promise<AllKinds> {
  const leases = await makeLeases();
  const rw = await startTwoUplinks({
    host: { routedPrefixes: BRIDGE_ROUTES },
    config: `
uplinks: [eth0, eth1]
leases: ${leases.pattern}
wires: [{ a: "container:r1/eth1", b: "container:r2/eth1" }]
`,
    policies: Object.fromEntries(NAMES.map((name) => [`containers/${name}.yaml`, POLICIES[name]])),
    prepare: async ({ host }) => {
      await createBridge(host);
      await startDnsmasq(host, leases);
      for (const [program, lines] of FOREIGN) for (const line of lines) await host.run(program, line.split(' '));
      await look(host);
    },
  });
  await runIp(rw.second, ['route add 2001:db8:200::/64 via 2001:db8:0:2::1']);
  const containers: Container[] = [];
  const places = new Map<Party, Place>([
    ['first', rw.first],
    ['second', rw.second],
    ['host', rw.bed.host],
  ]);
  for (const name of NAMES) {
    const container = await rw.addContainer(name, {
      lines: LINES[name],
      ...(name === 'leased' ? { command: UDHCPC } : {}),
    });
    await rw.start(container);
    places.set(name, await container.inside());
    containers.push(container);
  }
  const lease = await eventually('there is a lease', async () => {
    const leased = containers.find(({ name }) => name === 'leased');
    return (await leased?.exec('cat', ['/run/leased']))?.stdout.trim();
  });
  const isUp = async () => /container:r1.* up/.test((await rw.cli('status')).stdout);
  await eventually('the wire is up', isUp, 20_000);
  for (const place of places.values())
    await listen(
      place,
      ...[22, 80].map((port) => ({ protocol: 'tcp' as const, port })),
      ...[53, 8080].map((port) => ({ protocol: port === 53 ? ('udp' as const) : ('tcp' as const), port })),
    );

  const place = (party: Party): Place => {
    const found = places.get(party);
    if (found === undefined) throw new Error(`no place ${party}`);
    return found;
  };
  const address = (party: Party, family: Family): string | undefined =>
    addressesOfParty(party, lease)[family === 4 ? 0 : 1];
  return { rw, containers, place, address };
}

const LAST = { routed: 10, hidden: 11, away: 14, r1: 12, r2: 13 } as const;

function addressesOfParty(party: Party, lease: string): readonly string[] {
  switch (party) {
    case 'first':
      return INTERNET;
    case 'second':
      return SECOND.router;
    case 'host':
      return HOST_ADDRESSES.map((address) => address.replace(/\/.*/, ''));
    case 'fixed':
      return FIXED;
    case 'leased':
      return [lease];
    case 'routed':
    case 'hidden':
    case 'away':
    case 'r1':
    case 'r2':
      return addressesOf(LAST[party]);
  }
}
