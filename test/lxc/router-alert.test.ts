/** What asks routers to look at it gets past no rule into the host. */
import { afterEach, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { INTERNET } from '../../sandbox/host.ts';
import { probe } from '../../sandbox/services.ts';
import { type Attack, attack } from './hostile.ts';
import { addressesOf, nic, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

/** As a daemon of RSVP (46) would, which routers of its packets have to hear. */
const LISTENER = `
import select, socket
heard = socket.socket(socket.AF_INET, socket.SOCK_RAW, 46)
heard.setsockopt(socket.SOL_IP, 5, 1)
heard6 = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
heard6.setsockopt(socket.IPPROTO_IPV6, 22, 0)
print("listens", flush=True)
while True:
    for each in select.select([heard, heard6], [], [])[0]: print("heard", each.recv(2000)[-6:].decode(), flush=True)
`;
const OWN = addressesOf(66);

test('a router alert brings nothing into the host that its policy refuses', async () => {
  const rw = await startRoutewall({ policies: { 'containers/mallory.yaml': 'egress: { default: drop }\n' } });
  const { host } = rw.bed;
  const mallory = await rw.addContainer('mallory', { lines: nic(OWN) });
  await rw.start(mallory);
  const sender = { place: await mallory.inside(), own: OWN };
  await probe(sender.place, { protocol: 'tcp', to: '192.0.2.1', port: 9 });
  const listener = host.spawn('/usr/bin/python3', ['-c', LISTENER]);
  await listener.waitForLine(/listens/);
  const alerts = (word: string, [to4, to6]: readonly [string, string]): Attack[] => [
    [word, `E/IP(src=ME4, dst="${to4}", proto=46, options=[IPOption_Router_Alert()])/Raw(b"${word}4")`],
    [word, `E/IPv6(src=ME6, dst="${to6}")/IPv6ExtHdrHopByHop(nh=46, options=[RouterAlert(value=0)])/Raw(b"${word}6")`],
  ];
  await attack(sender, [...alerts('first', INTERNET), ...alerts('local', ['192.0.2.1', '2001:db8:0:1::1'])]);
  // The control: they arrive where nothing stands in their way, and what was sent before would have.
  await rw.daemon.stop('SIGKILL');
  await host.run('nft', ['flush', 'chain', 'inet', 'routewall', 'antispoof']);
  await attack(sender, alerts('later', INTERNET));
  for (const family of [4, 6]) await listener.waitForLine(new RegExp(`heard later${family}`));
  expect(listener.lines.filter((line) => line.startsWith('heard')).sort()).toEqual(['heard later4', 'heard later6']);
});
