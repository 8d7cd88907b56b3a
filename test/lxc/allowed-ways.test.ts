/** What hides in an allowed packet goes where the policy lets it go, and nowhere else. */
import { afterEach, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { listen, probe } from '../../sandbox/services.ts';
import { each, HOST, INTERNET, ip, ip6 } from './attack-targets.ts';
import { type Attack, attack, startWitness } from './hostile.ts';
import { addressesOf, nic, OPEN, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const MALLORY = addressesOf(66);
const POLICY = `egress:
  rules:
    - allow: tcp/80
      to: host
    - allow: [icmp/echo-request, udp/53]
      to: ["${INTERNET[0]}", "${INTERNET[1]}"]
`;
const DATA = 'Raw(M.load * 20)';
const tunnels: readonly Attack[] = [
  ...each('data in an echo', 4, (to) => `${ip(to)}/ICMP(id=5)/${DATA}`),
  ...each('data in an echo', 6, (to) => `${ip6(to)}/ICMPv6EchoRequest(id=5, data=M.load * 20)`),
  ...each('data in a DNS question', 4, (to) => `${ip(to)}/UDP(dport=53)/DNS(qd=DNSQR(qname=M.load))`),
  ...each('data in a DNS question', 6, (to) => `${ip6(to)}/UDP(dport=53)/DNS(qd=DNSQR(qname=M.load))`),
];
const others: readonly Attack[] = [
  ...each('data in an answer to no echo', 4, (to) => `${ip(to)}/ICMP(type=0, id=6)/${DATA}`),
  ...each('data in an answer to no echo', 6, (to) => `${ip6(to)}/ICMPv6EchoReply(id=6, data=M.load * 20)`),
  ...each('data in a timestamp', 4, (to) => `${ip(to)}/ICMP(type=13)/${DATA}`),
  ...each('DNS by TCP', 4, (to) => `${ip(to)}/TCP(dport=53, flags="S")/M`),
  ...each('another port', 6, (to) => `${ip6(to)}/UDP(sport=53, dport=54)/M`),
];

test('data in an allowed echo or question reaches the allowed peer alone', async () => {
  const rw = await startRoutewall({ policies: { 'containers/mallory.yaml': POLICY, 'containers/alice.yaml': OPEN } });
  const mallory = await rw.addContainer('mallory', { lines: nic(MALLORY) });
  const alice = await rw.addContainer('alice', { lines: nic(addressesOf(10)) });
  await Promise.all([rw.start(mallory), rw.start(alice)]);
  await listen(rw.bed.host, { protocol: 'tcp', port: 80 });
  const place = await mallory.inside();
  expect(await probe(place, { protocol: 'tcp', to: HOST[0], port: 80, timeout: 4_000 })).toBe('allowed');
  const devices = ['eth0', await alice.hostVeth()];
  const witness = await startWitness(rw.bed.host, { devices, from: await mallory.hostVeth() });
  const last: Attack = ['the last', `${ip(`"${HOST[0]}"`)}/TCP(dport=80, flags="S")/M`];
  const all = [...tunnels, ...others, last];
  await attack({ place, own: MALLORY }, all);
  const allowed = tunnels.map(([name]) => name).filter((name) => name.includes('to internet'));
  const passing = [...allowed, 'the last'];
  // The first IPv6 packet waits in the host until the next hop has told its address.
  await eventually('what is allowed has come out', () => {
    const seen = witness.seen(all);
    return passing.every((name) => seen.includes(name));
  });
  expect(witness.seen(all)).toEqual(passing);
  await witness.stop();
});
