/** Addresses that a neighbour on the uplink's link has: found by ARP and NDP before they are claimed, and left to it. */
import { afterEach, describe, expect, test } from 'vitest';
import { startCapture } from '../../sandbox/capture.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { readLeftovers } from '../../sandbox/end-state.ts';
import { eventually } from '../../sandbox/eventually.ts';
import type { Namespace } from '../../sandbox/namespace.ts';
import { listen, probe, receipts } from '../../sandbox/services.ts';
import { runIp } from '../../sandbox/wire.ts';
import { nic, OPEN, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const ADDRESSES = ['192.0.2.50', '2001:db8:0:1::50'] as const;
const PORT = { protocol: 'tcp', port: 80 } as const;
const policies = { 'containers/web.yaml': OPEN };
/** Everything that makes neighbours send to this host what is the address's. */
const CLAIMS = 'arp[6:2] == 2 or (icmp6 and ip6[40] == 136)';

const isSix = (address: string): boolean => address.includes(':');

async function setOutside(outside: Namespace, verb: 'add' | 'del', addresses: readonly string[] = ADDRESSES) {
  const lines = addresses.map((address) =>
    isSix(address) ? `${address}/128 dev eth0${verb === 'add' ? ' nodad' : ''}` : `${address}/32 dev eth0`,
  );
  await runIp(
    outside,
    lines.map((line) => `address ${verb} ${line}`),
  );
}

/** Ours, as `ADDRESS`. */
async function proxied({ bed }: Routewall): Promise<string[]> {
  const lists = await Promise.all(['-4', '-6'].map((family) => bed.host.run('ip', [family, 'neigh', 'show', 'proxy'])));
  return lists.flatMap(({ stdout }) => stdout.split('\n').flatMap((line) => /^\S+(?= dev eth0)/.exec(line)?.[0] ?? []));
}

/** Who answers the host at each address: the neighbour, the container, or nobody. */
async function answerers({ bed }: Routewall, container: Parameters<typeof receipts>[0]): Promise<string[]> {
  const count = async (place: Parameters<typeof receipts>[0], to: string): Promise<number> =>
    (await receipts(place)).filter((receipt) => receipt.to.includes(to)).length;
  return await Promise.all(
    ADDRESSES.map(async (to) => {
      const before = await Promise.all([count(bed.outside, to), count(container, to)]);
      await probe(bed.host, { ...PORT, to, timeout: 3_000 });
      const after = await Promise.all([count(bed.outside, to), count(container, to)]);
      return after[0] > before[0] ? 'neighbour' : after[1] > before[1] ? 'container' : 'nobody';
    }),
  );
}

const problems = async (rw: Routewall): Promise<number> =>
  (await rw.cli('status')).stdout.split('\n').filter((line) => line.includes('is in use on eth0 by ')).length;

describe('an address that a neighbour has', () => {
  test('stays with the neighbour, is told wherever problems are, and comes to the container when it is free', async () => {
    const rw = await startRoutewall({ policies });
    const { outside } = rw.bed;
    await setOutside(outside, 'add');
    await listen(outside, PORT);
    const capture = await startCapture(outside, { device: 'eth0', filter: CLAIMS, direction: 'in' });
    const web = await rw.addContainer('web', { lines: nic(ADDRESSES) });
    for (const round of ['first start', 'second start']) {
      const after = rw.mark();
      await rw.start(web);
      for (const address of ADDRESSES)
        await rw.daemon.child().waitForLine(new RegExp(` error: .*${address} is in use on eth0 by `), { after });
      await eventually(`status tells it: ${round}`, async () => (await problems(rw)) === 2);
      const inside = await web.inside();
      await listen(inside, PORT);
      expect(await proxied(rw)).toEqual([]);
      expect(await answerers(rw, inside)).toEqual(['neighbour', 'neighbour']);
      if (round === 'first start') await rw.stop(web);
    }
    for (const command of [['list'], ['list', '--json'], ['check']]) {
      const { stdout, stderr } = await rw.cli(...command);
      expect(`${command}: ${stdout}${stderr}`).toMatch(/192\.0\.2\.50 is in use on eth0 by/);
    }
    expect((await rw.cli('preview')).exitCode).toBe(0);
    expect((await rw.cli('explain', '--from', 'container:web', '--to', '192.0.2.2', 'tcp/80')).stdout).toMatch(/^drop/);
    expect((await capture.stop()).lines.filter((line) => ADDRESSES.some((one) => line.includes(one)))).toEqual([]);
    await setOutside(outside, 'del');
    await eventually('it is claimed', async () => (await proxied(rw)).length === 2, 20_000);
    expect(await answerers(rw, await web.inside())).toEqual(['container', 'container']);
    await eventually('nothing is wrong', async () => (await problems(rw)) === 0);
    await rw.stop(web);
    expect(await readLeftovers(rw.bed.host)).toEqual([]);
  });

  test('is claimed at once where nobody asks', async () => {
    const rw = await startRoutewall({ policies, config: 'probe: false\n' });
    await setOutside(rw.bed.outside, 'add');
    await listen(rw.bed.outside, PORT);
    const capture = await startCapture(rw.bed.outside, { device: 'eth0', filter: CLAIMS, direction: 'in' });
    const asked = await startCapture(rw.bed.outside, { device: 'eth0', filter: 'arp[6:2] == 1', direction: 'in' });
    const web = await rw.addContainer('web', { lines: nic(ADDRESSES) });
    await rw.start(web);
    expect(await proxied(rw)).toEqual([...ADDRESSES]);
    const inside = await web.inside();
    await listen(inside, PORT);
    expect(await answerers(rw, inside)).toEqual(['container', 'container']);
    for (const address of ADDRESSES)
      await eventually(`${address} is announced`, () => capture.lines().some((line) => line.includes(address)));
    expect((await asked.stop()).lines.filter((line) => line.includes('who-has 192.0.2.50'))).toEqual([]);
    expect(await problems(rw)).toBe(0);
  });
});

test('an address that is claimed already is not asked about again', async () => {
  const rw = await startRoutewall({ policies });
  const { outside } = rw.bed;
  const web = await rw.addContainer('web', { lines: nic(ADDRESSES) });
  await rw.start(web);
  await eventually('both are claimed', async () => (await proxied(rw)).length === 2);
  await setOutside(outside, 'add');
  const asked = await startCapture(outside, { device: 'eth0', filter: 'arp or icmp6', direction: 'in' });
  await rw.daemon.restart('SIGKILL');
  await rw.cli('status');
  expect(await proxied(rw)).toEqual([...ADDRESSES]);
  expect(
    (await asked.stop()).lines.filter((line) => /who-has 192\.0\.2\.50|who has 2001:db8:0:1::50/.test(line)),
  ).toEqual([]);
  expect(await problems(rw)).toBe(0);
});
