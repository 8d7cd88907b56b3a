/** Prefixes that go from one running container to another, again and again, under a stream of packets. */
import { afterEach, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { INTERNET } from '../../sandbox/host.ts';
import { listen, probe } from '../../sandbox/services.ts';
import { startFlood } from './forbidden-flood.ts';
import { addressesOf, nic, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const PREFIXES = ['203.0.113.0/28', '2001:db8:300::/64'];
const BEHIND = ['203.0.113.5', '2001:db8:300::5'];
const ROUNDS = 20;

const routes = (has: boolean): string => `routes: [${has ? PREFIXES.map((prefix) => `"${prefix}"`).join(', ') : ''}]\n`;
const alicePolicy = (has: boolean): string =>
  `${routes(has)}egress: { default: allow }\ningress:\n  rules:\n    - allow: udp/53\n      from: any\n`;
const bobPolicy = (has: boolean): string => `${routes(has)}egress: { default: allow }\n`;

test('reach the next one by no flow of the one before, and take nothing of what it has', async () => {
  const rw = await startRoutewall({
    policies: { 'containers/alice.yaml': alicePolicy(true), 'containers/bob.yaml': bobPolicy(false) },
    host: { routedPrefixes: ['198.51.100.0/24', '2001:db8:100::/64', ...PREFIXES] },
  });
  const { outside } = rw.bed;
  const alice = await rw.addContainer('alice', { lines: nic(addressesOf(10)) });
  const bob = await rw.addContainer('bob', { lines: nic(addressesOf(20)) });
  await Promise.all([rw.start(alice), rw.start(bob)]);
  const insides = await Promise.all([alice.inside(), bob.inside()]);
  for (const inside of insides) {
    for (const address of BEHIND) {
      const nodad = address.includes(':') ? ['nodad'] : [];
      await inside.run('ip', ['address', 'add', address, 'dev', 'lo', ...nodad]);
    }
    await listen(inside, { protocol: 'udp', port: 53 });
  }
  const isAlices = async (): Promise<boolean> => {
    const all = BEHIND.map((to) => probe(outside, { protocol: 'udp', to, port: 53, timeout: 300 }));
    return (await Promise.all(all)).every((outcome) => outcome === 'allowed');
  };
  await eventually('alice answers', isAlices);
  const isBobs = async (): Promise<boolean> => {
    const { stdout } = await rw.bed.host.run('ip', ['route', 'show', PREFIXES[0] ?? '']);
    return stdout.includes(await bob.hostVeth());
  };
  const flood = await startFlood(outside, {
    to: BEHIND,
    port: 53,
    exit: { place: rw.bed.host, device: await bob.hostVeth() },
  });
  const [, inBob] = insides;
  const pings = inBob.spawn('ping', ['-n', '-q', '-i', '0.002', INTERNET[0]]);
  for (let round = 0; round < ROUNDS; round += 1) {
    await rw.writePolicy('containers/alice.yaml', alicePolicy(false));
    await rw.writePolicy('containers/bob.yaml', bobPolicy(true));
    await eventually('they are bobs', isBobs);
    await rw.writePolicy('containers/bob.yaml', bobPolicy(false));
    await rw.writePolicy('containers/alice.yaml', alicePolicy(true));
    await eventually('they are alices', isAlices);
  }
  await pings.stop('SIGINT');
  expect(flood.leaked()).toEqual([]);
  await flood.stop();
  expect(pings.lines.find((line) => line.includes('packet loss'))).toMatch(/ 0% packet loss/);
});
