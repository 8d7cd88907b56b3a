/** A container that sends from init's first instruction on gets nothing out, whether the daemon runs, ended or was killed. */
import { afterEach, expect, test } from 'vitest';
import { startCapture } from '../../sandbox/capture.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { addressesOf, nic, OPEN, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const SIBLING = addressesOf(10);
const TARGETS4 = ['203.0.113.80', '192.0.2.1', SIBLING[0]];
const TARGETS6 = ['2001:db8:ffff::80', '2001:db8:0:1::1', SIBLING[1]];

/** A steady stream to each; IPv6 without the second that duplicate address detection would give us. */
const floodFrom = ([, v6]: readonly [string, string]): string => {
  const ping = (to: string): string => `while :; do ping -q -i 0.003 ${to}; done &`;
  return [
    ...TARGETS4.map(ping),
    'echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad',
    `ip -6 address del ${v6}/128 dev eth0; ip -6 address add ${v6}/128 dev eth0`,
    ...TARGETS6.map(ping),
    'wait',
  ].join('\n');
};

const ECHO = '(icmp[icmptype] == icmp-echo) or (icmp6 and ip6[40] == 128)';
const RULE = 'icmp type echo-request counter; icmpv6 type echo-request counter';

interface Exits {
  /** Packets that left by the uplink, reached the sibling, or the host itself. */
  leaked(): Promise<readonly string[]>;
  /** How many addresses packets came from before any rule of ours, since the last `forget`. */
  senders(): Promise<number>;
  forget(): Promise<void>;
}

async function watchExits({ bed: { host } }: Routewall, sibling: Container): Promise<Exits> {
  const input = 'chain input { type filter hook input priority 300; iifname "veth*" jump count; }';
  const before = [4, 6].map((family) => {
    const saddr = family === 4 ? 'ip saddr' : 'ip6 saddr';
    const echo = family === 4 ? 'icmp type echo-request' : 'icmpv6 type echo-request';
    return [
      `set senders${family} { typeof ${saddr}; size 65535; flags dynamic; }`,
      `chain before${family} { type filter hook prerouting priority -500; iifname "veth*" ${echo} update @senders${family} { ${saddr} }; }`,
    ].join('\n');
  });
  const table = `table inet witness {\n${before.join('\n')}\nchain count { ${RULE}; }\n${input}\n}\n`;
  await host.run('nft', ['-f', '-'], { input: table });
  const captures = await Promise.all(
    ['eth0', await sibling.hostVeth()].map((device) => startCapture(host, { device, filter: ECHO, direction: 'out' })),
  );
  const list = async (...what: string[]): Promise<string> =>
    (await host.run('nft', ['list', ...what.slice(0, 1), 'inet', 'witness', ...what.slice(1)])).stdout;
  return {
    leaked: async () => [
      ...captures.flatMap(({ lines }) => lines()),
      ...[...(await list('chain', 'count')).matchAll(/.*counter packets [1-9]\d* .*/g)].map(([line]) => line.trim()),
    ],
    senders: async () => {
      const sets = await Promise.all([4, 6].map((family) => list('set', `senders${family}`)));
      return sets.flatMap((text) => [...text.matchAll(/(?:198\.51\.100\.\d+|2001:db8:100::\d+)(?=[ ,}])/g)]).length;
    },
    forget: async () =>
      void (await host.run('nft', ['flush set inet witness senders4; flush set inet witness senders6'])),
  };
}

interface Crowd {
  readonly rw: Routewall;
  readonly flooders: readonly Container[];
  readonly exits: Exits;
}

const CROWD = 8;
const LAST = 100;

/** A sibling that takes everything, and flooders that may send nothing. */
async function makeCrowd(policy: string): Promise<Crowd> {
  const rw = await startRoutewall({
    policies: { 'containers/sibling.yaml': OPEN, 'containers/_default.yaml': policy },
  });
  const sibling = await rw.addContainer('sibling', { lines: nic(SIBLING) });
  await rw.start(sibling);
  const flooders: Container[] = [];
  for (let index = 0; index < CROWD; index += 1) {
    const addresses = addressesOf(LAST + index);
    const command = floodFrom(addresses);
    flooders.push(await rw.addContainer(`flooder${index}`, { lines: nic(addresses), command }));
  }
  return { rw, flooders, exits: await watchExits(rw, sibling) };
}

const allAtOnce = (containers: readonly Container[], action: (one: Container) => Promise<unknown>): Promise<unknown> =>
  Promise.all(containers.map(action));

/** Each container sends in each of its runs, as `sends` finds out, and nothing comes out. */
async function startsAndStops(
  { flooders, exits }: Crowd,
  { rounds, sends }: { readonly rounds: number; readonly sends: () => Promise<void> },
): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    await allAtOnce(flooders, (one) => one.start());
    await sends();
    await allAtOnce(flooders, (one) => one.stop('kill'));
    await exits.forget();
  }
  expect(await exits.leaked()).toEqual([]);
}

/** Frames to the host's own hardware address: nobody answers a container that isn't claimed, so it can't learn it. */
async function sendBlindly({ bed }: Routewall, container: Container): Promise<void> {
  const own = addressesOf(LAST + Number(/\d+$/.exec(container.name)?.[0]));
  const { stdout } = await bed.host.run('ip', ['-br', 'link', 'show', await container.hostVeth()]);
  const mac = /(?:[0-9a-f]{2}:){5}[0-9a-f]{2}/.exec(stdout)?.[0];
  const frames = [
    ...TARGETS4.map((to) => `Ether(dst="${mac}")/IP(src="${own[0]}", dst="${to}")/ICMP()`),
    ...TARGETS6.map((to) => `Ether(dst="${mac}")/IPv6(src="${own[1]}", dst="${to}")/ICMPv6EchoRequest()`),
  ];
  const script = `from scapy.all import *; sendp([${frames.join(', ')}] * 10, iface="eth0", verbose=0)`;
  await (await container.inside()).run('/usr/bin/python3', ['-c', script]);
}

const allSend = async ({ exits }: Crowd): Promise<void> =>
  void (await eventually('all flood in both families', async () => (await exits.senders()) === CROWD * 2, 20_000));

test('with a policy that allows it, the flood is on all ways out', async () => {
  const { flooders, exits } = await makeCrowd(OPEN);
  await allAtOnce(flooders.slice(0, 1), (one) => one.start());
  for (const seen of [
    /198\.51\.100\.100 > 203/,
    /198\.51\.100\.100 > 198/,
    /100::100 > 2001:db8:ffff/,
    /100::100 > 2001:db8:100/,
    /icmp type/,
    /icmpv6 type/,
  ])
    await eventually(`${seen}`, async () => (await exits.leaked()).some((line) => seen.test(line)));
  expect(await exits.senders()).toBe(2);
});

test('nothing leaks over 200 starts while the daemon runs', async () => {
  const crowd = await makeCrowd('{}');
  await startsAndStops(crowd, { rounds: 200 / CROWD, sends: () => allSend(crowd) });
  expect(crowd.rw.daemon.log().filter((line) => /: enforced in /.test(line)).length).toBeGreaterThan(CROWD);
});

test.each(['SIGTERM', 'SIGKILL'] as const)(
  'nothing leaks of containers that start after %s ended the daemon',
  async (signal) => {
    const crowd = await makeCrowd(OPEN);
    await crowd.rw.daemon.stop(signal);
    const sendAll = async (): Promise<void> => {
      await allAtOnce(crowd.flooders, (one) => sendBlindly(crowd.rw, one));
      await allSend(crowd);
    };
    await startsAndStops(crowd, { rounds: 1, sends: sendAll });
  },
);
