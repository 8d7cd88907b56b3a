/** What the kernel takes along with something else, of which it tells or doesn't: the containers' network comes back by itself. */
import { afterAll, beforeAll, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { listen, probe } from '../../sandbox/services.ts';
import { addressesOf, nic, OPEN } from './routewall.ts';
import { SECOND as LINK, PORT, startTwoUplinks, type TwoUplinks, waysOut } from './two-uplinks.ts';

let rw: TwoUplinks;
let web: Container;
let veth: string;

const POLICIES = {
  // Leaves by the second uplink, whose router nobody's routes need to name.
  'containers/web.yaml': `uplink: eth1\ngateway: ["${LINK.router.join('", "')}"]\n${OPEN}`,
  'containers/plain.yaml': OPEN,
  // Of the first uplink's network: the host answers its neighbours' questions.
  'containers/near.yaml': OPEN,
};
const NEAR = ['192.0.2.50', '2001:db8:0:1::50'];

beforeAll(async () => {
  rw = await startTwoUplinks({ policies: POLICIES });
  const plain = await rw.addContainer('plain', { lines: nic(addressesOf(11)) });
  const near = await rw.addContainer('near', { lines: nic(NEAR) });
  web = await rw.addContainer('web', { lines: nic(addressesOf(10)) });
  for (const container of [plain, near, web]) {
    await rw.start(container);
    await listen(await container.inside(), PORT);
  }
  veth = await plain.hostVeth();
});
afterAll(cleanUp);

/** In from the first outside, and out by the second. */
async function outcomes(): Promise<string[]> {
  const ways = [...addressesOf(11), ...NEAR].map((to) => probe(rw.bed.outside, { ...PORT, to, timeout: 1_000 }));
  return [...(await Promise.all(ways)), ...(await waysOut(rw, await web.inside()))];
}
const ALL = ['allowed', 'allowed', 'allowed', 'allowed', 'second', 'second'];

/** What an administrator's own tools put back, as they would. */
const FIRST = [
  'ip address replace 2001:db8:0:1::1/64 dev eth0 nodad',
  'ip route replace default via 192.0.2.2',
  'ip -6 route replace default via 2001:db8:0:1::2',
];
const SECOND_AGAIN = `ip address replace ${LINK.host[1]} dev eth1 nodad`;

const twice = (line: string, ...words: readonly [string, string]): string[] => words.map((word) => `${line}${word}`);

test.each<[string, (veth: string) => readonly string[]]>([
  ['without IPv6 for its small MTU, a veth', (dev) => twice(`ip link set ${dev} mtu `, '1000', '1500')],
  ['without IPv6 for its small MTU, an uplink', () => [...twice('ip link set eth0 mtu ', '1000', '1500'), ...FIRST]],
  [
    'without IPv6 for its small MTU, the uplink of its own',
    () => [...twice('ip link set eth1 mtu ', '1200', '1500'), SECOND_AGAIN],
  ],
  ['down and up, the loopback', () => twice('ip link set lo ', 'down', 'up')],
  ['down and up, a veth', (dev) => twice(`ip link set ${dev} `, 'down', 'up')],
  ['down and up, the uplink of its own', () => [...twice('ip link set eth1 ', 'down', 'up'), SECOND_AGAIN]],
  ['without ARP for a moment, a veth', (dev) => twice(`ip link set ${dev} arp `, 'off', 'on')],
  ['without its addresses, a veth', (dev) => [`ip address flush dev ${dev}`]],
  [
    'without its address for a moment, the uplink of its own',
    () => twice(`ip address `, `del ${LINK.host[0]} dev eth1`, `add ${LINK.host[0]} dev eth1`),
  ],
  [
    'without its address for a moment, an uplink',
    () => [
      'ip -4 address flush dev eth0',
      'ip address add 192.0.2.1/24 dev eth0',
      'ip route replace default via 192.0.2.2',
    ],
  ],
  ['without IPv6 for a moment, a veth', (dev) => twice(`sysctl -qw net.ipv6.conf.${dev}.disable_ipv6=`, '1', '0')],
  ['without forwarding', () => ['sysctl -qw net.ipv4.ip_forward=0', 'sysctl -qw net.ipv6.conf.all.forwarding=0']],
  ['without proxies', () => ['sysctl -qw net.ipv6.conf.all.proxy_ndp=0', 'ip neigh flush proxy']],
])('%s', async (_, commands) => {
  const isWhole = async (): Promise<boolean> => (await outcomes()).join() === ALL.join();
  await eventually('all of it is there', isWhole);
  await rw.bed.host.run('sh', ['-e'], { input: `${commands(veth).join('\n')}\n` });
  await eventually('all of it is back', isWhole);
  await rw.statusTells(/^the kernel holds what the files say$/m);
});
