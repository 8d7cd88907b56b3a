/**
 * Of packets of any make, nothing comes out of a container that may nothing. `ATTACK_SEED` and `ATTACK_PACKETS` make it
 * other ones, or more.
 */
import { afterEach, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { HOST, ip } from './attack-targets.ts';
import { type Attack, attack, startWitness } from './hostile.ts';
import { randomPackets } from './random-packets.ts';
import { addressesOf, nic, OPEN, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const SEED = Number(process.env['ATTACK_SEED'] ?? 20_260_611);
const COUNT = Number(process.env['ATTACK_PACKETS'] ?? 600);
const AGAIN = `ATTACK_SEED=${SEED} ATTACK_PACKETS=${COUNT} npx vitest run --project lxc test/lxc/random-packets.test.ts`;
const MALLORY = addressesOf(66);
const POLICY = 'egress:\n  rules:\n    - allow: tcp/80\n      to: host\n';

test('nothing of random packets comes out, of which many do without the tables', async () => {
  const rw = await startRoutewall({ policies: { 'containers/mallory.yaml': POLICY, 'containers/alice.yaml': OPEN } });
  const mallory = await rw.addContainer('mallory', { lines: nic(MALLORY) });
  const alice = await rw.addContainer('alice', { lines: nic(addressesOf(10)) });
  await Promise.all([rw.start(mallory), rw.start(alice)]);
  const { host } = rw.bed;
  const sender = { place: await mallory.inside(), own: MALLORY };
  await sender.place.runForResult('ping', ['-c', '1', '-W', '1', HOST[0]]);
  const devices = ['eth0', await alice.hostVeth()];
  const from = await mallory.hostVeth();
  const last: Attack = ['the last', `${ip(`"${HOST[0]}"`)}/TCP(sport=40000, dport=80, flags="S")/M`];
  const packets = [...randomPackets(SEED, COUNT), last];
  const seenOf = async (): Promise<readonly string[]> => {
    const witness = await startWitness(host, { devices, from });
    await attack(sender, packets);
    await eventually('the last is seen', () => witness.seen(packets).includes('the last'));
    await witness.stop();
    return witness.seen(packets);
  };
  // By chance one of them is what the policy allows.
  const isAllowed = (name: string): boolean => name === 'the last' || /dport=80\b.*flags=2,/.test(name);
  const wrong = (await seenOf()).filter((name) => !isAllowed(name));
  expect(wrong, `${AGAIN}\n${wrong.join('\n')}`).toEqual([]);
  await rw.daemon.stop('SIGKILL');
  for (const family of ['inet', 'arp']) await host.run('nft', ['delete', 'table', family, 'routewall']);
  expect((await seenOf()).length, AGAIN).toBeGreaterThan(COUNT / 4);
}, 600_000);
