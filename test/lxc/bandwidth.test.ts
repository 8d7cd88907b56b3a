/** Limits of bandwidth, with real traffic: how many bytes arrive in the seconds that were measured. */
import { afterEach, expect, it } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { listen, openFlow, probe, receipts } from '../../sandbox/services.ts';
import { addressesOf, nic, OPEN, type Routewall, startRoutewall } from './routewall.ts';
import { measure } from './throughput.ts';

afterEach(cleanUp);

const OUTSIDE = '192.0.2.2';
const [ADDRESS] = addressesOf(20);
const MBIT = 1e6;

/** Without what packets count up. */
const qdiscs = async ({ bed }: Routewall): Promise<string> =>
  (await bed.host.run('tc', ['qdisc', 'show'])).stdout.replace(/ direct_packets_stat \d+/g, '');
const limiters = async ({ bed }: Routewall): Promise<string[]> =>
  [...(await bed.host.run('ip', ['-o', 'link'])).stdout.matchAll(/ (rwl-\w+):/g)].flatMap(([, name]) => name ?? []);

const edit = async (routewall: Routewall, limits: string): Promise<void> => {
  const after = routewall.mark();
  await routewall.writePolicy('containers/web.yaml', `${OPEN}${limits}`);
  await routewall.enforced('web', { after });
};

/** Ingress is what the container gets. */
async function rate(
  { bed }: Routewall,
  container: Container,
  direction: 'ingress' | 'egress',
  protocol: 'tcp' | 'udp',
  offered: number,
): Promise<number> {
  const inside = await container.inside();
  return direction === 'ingress'
    ? await measure({ from: bed.outside, to: inside, address: ADDRESS, protocol, offered })
    : await measure({ from: inside, to: bed.outside, address: OUTSIDE, protocol, offered });
}

function expectAbout(measured: number, limit: number): void {
  expect(measured).toBeGreaterThan(limit * 0.85);
  expect(measured).toBeLessThan(limit * 1.15);
}

it('holds each direction to its rate, follows an edit in place, and leaves nothing', async () => {
  const routewall = await startRoutewall();
  const untouched = await qdiscs(routewall);
  const policy = `${OPEN}limits: { egress: 20Mbit, ingress: 40Mbit }\n`;
  const web = await routewall.addContainer('web', { lines: nic(addressesOf(20)), policy });
  await routewall.start(web);
  for (const protocol of ['tcp', 'udp'] as const) {
    expectAbout(await rate(routewall, web, 'egress', protocol, 30 * MBIT), 20 * MBIT);
    expectAbout(await rate(routewall, web, 'ingress', protocol, 60 * MBIT), 40 * MBIT);
  }
  await listen(bedOf(routewall), { protocol: 'tcp', port: 80 });
  const flow = await openFlow(await web.inside(), { protocol: 'tcp', to: OUTSIDE, port: 80, timeout: 3_000 });
  const dropped = async () =>
    /dropped (\d+)/.exec(
      (await routewall.bed.host.run('tc', ['-s', 'qdisc', 'show', 'dev', await web.hostVeth()])).stdout,
    )?.[1];
  const before = await dropped();
  await edit(routewall, 'limits: { egress: 60Mbit, ingress: 10Mbit }\n');
  // The same discipline with its counters: what waited in it stayed.
  expect(Number(await dropped())).toBeGreaterThanOrEqual(Number(before));
  expect(await flow.beat(3_000)).toBe('alive');
  expectAbout(await rate(routewall, web, 'ingress', 'tcp', 0), 10 * MBIT);

  // Without limits it is as fast as the machine, which is the control: it was the limit that held it.
  await edit(routewall, '');
  expect(await rate(routewall, web, 'ingress', 'tcp', 0)).toBeGreaterThan(60 * MBIT);
  expect(await limiters(routewall)).toEqual([]);
  expect(await qdiscs(routewall)).not.toContain('tbf');
  await routewall.stop(web);
  expect(await qdiscs(routewall)).toBe(untouched);
});

it('leaves a limited container under its policy, and to its own addresses', async () => {
  const routewall = await startRoutewall();
  const { outside } = routewall.bed;
  await listen(outside, { protocol: 'udp', port: 53 }, { protocol: 'udp', port: 54 });
  const rules = 'egress: { rules: [{ allow: udp/53, to: any }] }\n';
  const limits = 'limits: { egress: 20Mbit, ingress: 40Mbit }\n';
  const web = await routewall.addContainer('web', { lines: nic(addressesOf(20)), policy: `${rules}${limits}` });
  await routewall.start(web);
  const veth = await web.hostVeth();
  await eventually('both limits stand', () => isLimited(routewall, veth));
  const inside = await web.inside();
  const stolen = '198.51.100.99';
  await inside.run('ip', ['address', 'add', `${stolen}/32`, 'dev', 'eth0']);
  // What it sends comes back from the ifb as if from the veth, and meets all that it would have met without.
  const to = { protocol: 'udp', to: OUTSIDE } as const;
  expect(await probe(inside, { ...to, port: 53 })).toBe('allowed');
  expect(await probe(inside, { ...to, port: 54 })).toBe('dropped');
  expect(await probe(inside, { ...to, port: 53, source: stolen })).toBe('dropped');
  const arrived = (await receipts(outside)).map(({ from, port }) => `${from} ${port}`);
  expect(new Set(arrived)).toEqual(new Set([`${ADDRESS} 53`]));
});

it('heals what others change, tells of what others hold, and takes away what a killed daemon left', async () => {
  const routewall = await startRoutewall();
  const { host } = routewall.bed;
  const policy = `${OPEN}limits: { egress: 20Mbit, ingress: 40Mbit }\n`;
  const web = await routewall.addContainer('web', { lines: nic(addressesOf(20)), policy });
  await routewall.start(web);
  const veth = await web.hostVeth();
  await eventually(
    'both limits stand',
    async () => (await limiters(routewall)).length === 1 && (await isLimited(routewall, veth)),
  );
  const [limiter = ''] = await limiters(routewall);
  const vandalism = [
    ['tc', 'qdisc', 'del', 'dev', veth, 'root'],
    [
      'tc',
      'qdisc',
      'change',
      'dev',
      veth,
      'root',
      'handle',
      '119:',
      'tbf',
      'rate',
      '1gbit',
      'burst',
      '1m',
      'latency',
      '50ms',
    ],
    ['tc', 'filter', 'del', 'dev', veth, 'ingress'],
    ['tc', 'qdisc', 'del', 'dev', veth, 'ingress'],
    ['ip', 'link', 'del', 'dev', limiter],
  ];
  for (const [command = '', ...args] of vandalism) {
    await host.run(command, args);
    await eventually(`${command} ${args.join(' ')} is healed`, () => isLimited(routewall, veth), 20_000);
  }
  // What another program holds there stays, and is told with the line that asks for the limit.
  await routewall.writePolicy('containers/web.yaml', OPEN);
  await eventually('no limit stands', async () => !/tbf|ingress/.test(await qdiscs(routewall)), 20_000);
  await host.run('tc', ['qdisc', 'add', 'dev', veth, 'root', 'handle', '1:', 'htb']);
  await host.run('tc', ['qdisc', 'add', 'dev', veth, 'clsact']);
  await host.run('tc', ['filter', 'add', 'dev', veth, 'ingress', 'protocol', 'arp', 'u32', 'match', 'u32', '0', '0']);
  const foreign = await qdiscs(routewall);
  await edit(routewall, 'limits: { egress: 20Mbit, ingress: 40Mbit }\n');
  const status = async () => (await routewall.cli('status')).stdout;
  await eventually('status tells it', async () => (await status()).includes("eth0's ingress isn't in force"), 20_000);
  expect(await status()).toMatch(/web\.yaml:3:1: error: the limit of eth0's ingress isn't in force: .*htb 1:/);
  expect(await status()).toMatch(
    /web\.yaml:3:1: error: the limit of eth0's egress isn't in force: .*filters of another/,
  );
  expect(
    (await qdiscs(routewall))
      .split('\n')
      .filter((line) => !line.includes('rwl-'))
      .join('\n'),
  ).toBe(foreign);
  await host.run('tc', ['qdisc', 'del', 'dev', veth, 'root']);
  await host.run('tc', ['qdisc', 'del', 'dev', veth, 'clsact']);
  await eventually('what is free again is used', () => isLimited(routewall, veth), 70_000);

  await routewall.daemon.stop('SIGKILL');
  await web.stop('kill');
  expect(await limiters(routewall)).not.toEqual([]);
  await routewall.daemon.restart();
  await eventually('the leftover is gone', async () => (await limiters(routewall)).length === 0, 20_000);
});

const bedOf = ({ bed }: Routewall) => bed.outside;

async function isLimited(routewall: Routewall, veth: string): Promise<boolean> {
  const text = await qdiscs(routewall);
  const [limiter = ''] = await limiters(routewall);
  const { stdout } = await routewall.bed.host.runForResult('tc', ['filter', 'show', 'dev', veth, 'ingress']);
  return (
    text.includes(`tbf 119: dev ${veth} root refcnt`) &&
    new RegExp(`tbf 119: dev ${veth} .*rate 40Mbit`).test(text) &&
    new RegExp(`tbf 119: dev ${limiter} .*rate 20Mbit`).test(text) &&
    stdout.includes(`Redirect to device ${limiter})`)
  );
}
