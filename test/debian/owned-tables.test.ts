/** Tables that the daemon's nft owns (Debian 13): what others do leaves them alone, and their owner's death does too. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCapture } from '../../sandbox/capture.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { DebianContainer } from '../../sandbox/debian-container.ts';
import { type DebianHost, OUTSIDE_BRIDGE } from '../../sandbox/debian-host.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { withoutFilled } from '../../sandbox/nft-listing.ts';
import { listen } from '../../sandbox/services.ts';
import { addContainer, aMoment, bootServingHost, expectActive, mainPid, waitUntilInForce } from './lxc-host.ts';
import { startFlood, startPings } from './traffic.ts';

const INTERNET = ['203.0.113.80', '2001:db8:ffff::80'] as const;
const FORBIDDEN = 9999;
const FAMILIES = ['inet', 'arp', 'bridge'] as const;

let host: DebianHost;
let web: DebianContainer;

beforeAll(async () => {
  host = await bootServingHost('trixie');
  web = await addContainer(host, 'web', {
    last: 10,
    policy: 'ingress:\n  rules:\n    - allow: [tcp/80, icmp/echo-request]\n      from: any\n',
  });
  // Never started: that one hangs on a bridge is enough for a table of bridges.
  await addContainer(host, 'port', {
    last: 11,
    lines: ['lxc.net.1.type = veth', 'lxc.net.1.link = lxcbr0', 'lxc.net.1.veth.pair = port1'],
  });
  await web.start();
  await waitUntilInForce(host);
  await listen(await web.inside(), { protocol: 'tcp', port: 80 });
});
afterAll(cleanUp);

/** With the handle of each object: one that was written again has another. Without what packets filled in. */
async function listTables(): Promise<string> {
  const tables: string[] = [];
  for (const family of FAMILIES) {
    const { stdout } = await host.system.run('nft', ['-s', '-a', 'list', 'table', family, 'routewall']);
    tables.push(withoutFilled(stdout));
  }
  return tables.join('\n');
}

/** Whether a process holds them. */
async function isOwned(): Promise<boolean> {
  const listing = await listTables();
  return FAMILIES.every((family) =>
    new RegExp(`^table ${family} routewall .*\\n\\tflags owner,persist$`, 'm').test(listing),
  );
}

const waitUntilOwned = (): Promise<boolean> => eventually('the tables are owned', isOwned, 10_000);

const withoutFlags = (listing: string): string =>
  listing.replace(/^\tflags .*\n/gm, '').replace(/^(table \S+ \S+ \{ #).*( handle)/gm, '$1$2');

/** Does it while an allowed stream runs and a forbidden flood comes out: no packet may be lost, none may leak. */
async function unnoticed(action: () => Promise<void>): Promise<void> {
  const inside = await web.inside();
  const capture = await startCapture(host.outside, { device: OUTSIDE_BRIDGE, filter: `udp port ${FORBIDDEN}` });
  const pings = [await startPings(host.outside, '198.51.100.10'), await startPings(host.outside, '2001:db8:100::10')];
  const stopFlood = await startFlood(inside, FORBIDDEN, INTERNET);
  await action();
  await aMoment();
  await stopFlood();
  for (const { stop } of pings) {
    const { answered, lost } = await stop();
    expect(lost).toEqual([]);
    expect(answered).toBeGreaterThan(10);
  }
  expect(await capture.stop()).toEqual({ lines: [], received: 0 });
  await inside.close();
}

const nft = (command: string) => host.system.runForResult('nft', [command]);
const nftChild = async (): Promise<number> =>
  Number((await host.system.run('pgrep', ['-P', String(await mainPid(host)), '-x', '-f', 'nft -i'])).stdout);

test('another program can neither flush nor change them', async () => {
  await waitUntilOwned();
  const before = await listTables();
  await unnoticed(async () => {
    for (let times = 0; times < 10; times += 1) expect(await nft('flush ruleset')).toMatchObject({ exitCode: 0 });
    for (const change of [
      'delete table inet routewall',
      'flush chain inet routewall input',
      'delete table arp routewall',
      'delete table bridge routewall',
    ])
      expect(await nft(change)).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('not permitted') });
  });
  expect(await listTables()).toBe(before);
  // The control: it flushes what is anyone's.
  expect((await nft('list tables')).stdout).not.toContain('somebody_else');
  await host.system.run('systemctl', ['restart', 'nftables.service']);
  expect(await listTables()).toBe(before);
  expect((await nft('list tables')).stdout).toContain('somebody_else');
});

test('the guard takes them for what they are', async () => {
  expect(await host.system.runForResult('/usr/lib/routewall/guard', [])).toMatchObject({ exitCode: 0, stderr: '' });
});

test('the death of the nft that owns them leaves them, and its successor takes them over as they are', async () => {
  const before = await listTables();
  const child = await nftChild();
  await unnoticed(async () => {
    await host.system.run('kill', ['-9', String(child)]);
    await eventually('another nft owns them', async () => (await isOwned()) && (await nftChild()) !== child, 10_000);
  });
  expect(withoutFlags(await listTables())).toBe(withoutFlags(before));
});

test('the death of the daemon leaves them, and its successor writes nothing', async () => {
  const before = await listTables();
  const killed = await mainPid(host);
  await unnoticed(async () => {
    await host.system.run('kill', ['-9', String(killed)]);
    await eventually('another daemon serves', async () => ![0, killed].includes(await mainPid(host)), 20_000);
    await waitUntilOwned();
  });
  await expectActive(host, 'routewall.service');
  expect(withoutFlags(await listTables())).toBe(withoutFlags(before));
  const { stdout } = await host.system.run('journalctl', ['-u', 'routewall.service', '--no-pager', '-o', 'cat']);
  expect(stdout.match(/ready: .*/g)?.at(-1)).toContain('1 interfaces enforced, 0 changes written');
});

test('those of a panic are owned too, and made anew by the next owner', async () => {
  const panicTables = async (): Promise<string[]> =>
    (await nft('list tables')).stdout.split('\n').filter((line) => line.endsWith('_panic'));
  const all = FAMILIES.map((family) => `table ${family} routewall_panic`);
  await host.system.run('routewall', ['panic', 'on', '-n', 'port']);
  expect((await panicTables()).sort()).toEqual([...all].sort());
  const areOurs = async (): Promise<boolean> => {
    for (const table of all) if (!(await nft(`delete ${table}`)).stderr.includes('not permitted')) return false;
    return true;
  };
  expect(await areOurs()).toBe(true);
  const killed = await mainPid(host);
  await host.system.run('kill', ['-9', String(killed)]);
  await eventually('another daemon serves', async () => ![0, killed].includes(await mainPid(host)), 20_000);
  await eventually("they are the next one's", areOurs, 20_000);
  expect((await nft('list set bridge routewall_panic sealed')).stdout).toContain('"port1"');
  await host.system.run('routewall', ['panic', 'off', '-n', 'port']);
  expect(await panicTables()).toEqual([]);
});

test('tables of a release that owned none are replaced at once, and owned from then on', async () => {
  const before = await listTables();
  await host.system.run('systemctl', ['stop', 'routewall.service']);
  const plain: string[] = [];
  // What nft 1.1.3 lists of a bridge's rules it doesn't take again.
  for (const family of ['inet', 'arp']) {
    const { stdout } = await host.system.run('nft', ['-s', 'list', 'table', family, 'routewall']);
    expect(stdout).toContain('\tflags persist\n');
    plain.push(`delete table ${family} routewall`, stdout.replace('\tflags persist\n', ''));
  }
  await host.system.run('nft', ['-f', '-'], { input: `${plain.join('\n')}\n` });
  expect((await listTables()).match(/^\tflags/gm)).toHaveLength(1);
  await unnoticed(async () => {
    await host.system.run('systemctl', ['start', 'routewall.service']);
    await waitUntilOwned();
  });
  await waitUntilInForce(host);
  const shapeOf = (listing: string): string => listing.replace(/ # handle \d+| # progname.*/g, '');
  expect(
    shapeOf(await listTables())
      .split('\n')
      .sort(),
  ).toEqual(shapeOf(before).split('\n').sort());
});

test('what the next boot loads can be taken over too', async () => {
  const file = (await host.system.run('cat', ['/var/lib/routewall/last-good.nft'])).stdout;
  expect(file.match(/^\tflags persist;$/gm)).toHaveLength(3);
  await host.reboot();
  await expectActive(host, 'routewall-guard.service');
  await expectActive(host, 'routewall.service');
  await waitUntilOwned();
  const { stdout } = await host.system.run('journalctl', ['-b', '--no-pager', '-o', 'cat']);
  expect(stdout).toContain('routewall-guard: loaded /var/lib/routewall/last-good.nft');
  expect(stdout).toMatch(/ready: .* 0 changes written/);
});
