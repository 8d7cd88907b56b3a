/** From a container on a bridge that may reach two services of the host, nothing else comes out by any trick. */
import { afterEach, expect, test } from 'vitest';
import { BRIDGE, BRIDGE_ADDRESSES, BRIDGE_ROUTES, bridgedNic, createBridge } from '../../sandbox/bridge.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { setSysctls } from '../../sandbox/namespace.ts';
import { runIp } from '../../sandbox/wire.ts';
import { ALICE as ROUTED } from './attack-targets.ts';
import { ATTACKS } from './attacks.ts';
import { ALICE, MALLORY } from './bridged-parties.ts';
import { type Attack, attack, startWitness } from './hostile.ts';
import { addressesOf, nic, OPEN, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const POLICY = 'egress:\n  rules:\n    - allow: [rsync, squid]\n      to: host\n';
const ALLOWED: Attack = ['allowed', 'E/IP(src=ME4, dst="192.0.2.1")/TCP(dport=873, flags="S")/M'];

/** To the sibling on the bridge, in frames to its own hardware address. */
const toNeighbour = ATTACKS.filter(([name]) => name.includes(' to sibling IPv')).map(
  ([name, frames]): Attack => [
    name.replace('sibling', 'neighbour'),
    ROUTED.reduce((text, address, at) => text.replaceAll(`"${address}"`, `"${ALICE.own[at]}"`), frames).replaceAll(
      'E/',
      `Ether(dst="${ALICE.mac}", src="${MALLORY.mac}")/`,
    ),
  ],
);
/** Neighbours on a link say these to each other, with addresses of their own. */
const isNeighbourly = ([name]: Attack): boolean => /^(a neighbour solicitation|an MLD report) to neighbour/.test(name);
/** What comes in by a bridge for a loopback address doesn't arrive, with or without rules. */
const isForLoopback = ([name]: Attack): boolean => name.startsWith('a loopback address');
const attacks = [...ATTACKS, ...toNeighbour.filter((one) => !isNeighbourly(one))].filter((one) => !isForLoopback(one));

test.each(['0', '1'] as const)('nothing comes out that its policy refuses, with br_netfilter at %s', async (value) => {
  const rw = await startRoutewall({
    host: { routedPrefixes: BRIDGE_ROUTES, sysctls: { 'net/ipv4/conf/all/accept_source_route': '1' } },
    // So that what stands in the way is the policy.
    config: 'connections: { rate: 999999/second }\n',
    policies: { 'containers/mallory.yaml': POLICY, 'containers/alice.yaml': OPEN, 'containers/routed.yaml': OPEN },
    prepare: async ({ host }) => {
      // The gateway that the rows aim at; and a bridge that knows nothing of multicast hands it to all.
      await createBridge(host, { addresses: [...BRIDGE_ADDRESSES, 'fe80::1/64'] });
      await runIp(host, [`link set dev ${BRIDGE} type bridge mcast_snooping 0`]);
    },
  });
  const { host } = rw.bed;
  await setSysctls(host, {
    'net/bridge/bridge-nf-call-iptables': value,
    'net/bridge/bridge-nf-call-ip6tables': value,
    'net/bridge/bridge-nf-call-arptables': value,
  });
  const mallory = await rw.addContainer('mallory', { lines: bridgedNic(MALLORY.own, { hwaddr: MALLORY.mac }) });
  const alice = await rw.addContainer('alice', { lines: bridgedNic(ALICE.own, { hwaddr: ALICE.mac }) });
  const routed = await rw.addContainer('routed', { lines: nic(addressesOf(10)) });
  await Promise.all([mallory, alice, routed].map((container) => rw.start(container)));
  const hostMac = (await host.run('cat', [`/sys/class/net/${BRIDGE}/address`])).stdout.trim();
  const sender = { place: await mallory.inside(), own: MALLORY.own, hostMac };
  const devices = ['eth0', await alice.hostVeth(), await routed.hostVeth()];
  const witness = await startWitness(host, { devices, from: BRIDGE });
  const all = [...attacks, ALLOWED];
  await attack(sender, all);
  await eventually('the allowed packet is seen', () => witness.seen(all).includes('allowed'));
  expect(witness.seen(all)).toEqual(['allowed']);
  // The control: all but what Linux refuses by itself.
  await rw.daemon.stop('SIGKILL');
  for (const family of ['inet', 'arp', 'bridge']) await host.run('nft', ['delete', 'table', family, 'routewall']);
  await setSysctls(host, { 'net/ipv4/conf/br0/rp_filter': '0', 'net/ipv4/conf/br0/accept_source_route': '1' });
  await attack(sender, attacks);
  const possible = attacks.filter(([name]) => !name.startsWith('martian')).map(([name]) => name);
  const missing = (): string[] => {
    const seen = witness.seen(attacks);
    return possible.filter((name) => !seen.includes(name));
  };
  await eventually('all are seen', () => missing().length === 0).catch(() => undefined);
  expect(missing()).toEqual([]);
  await witness.stop();
});
