/** The test bed itself: a host, its outside, and real containers, made and removed without a trace. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { startCapture } from '../../sandbox/capture.ts';
import { startChild } from '../../sandbox/child.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { type Container, createContainer } from '../../sandbox/container.ts';
import { startDaemon } from '../../sandbox/daemon.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { createHost, type Host, makeLxcPath } from '../../sandbox/host.ts';
import { MARK, ownPrefix, prefixOfProcess } from '../../sandbox/mark.ts';
import { setSysctls } from '../../sandbox/namespace.ts';
import { run } from '../../sandbox/run.ts';
import { listen, openFlow, probe, receipts, unlisten } from '../../sandbox/services.ts';
import { readSnapshot } from '../../sandbox/snapshot.ts';
import { isAlive, sweepDeadProcesses } from '../../sandbox/sweep.ts';
import { runIp } from '../../sandbox/wire.ts';

afterEach(cleanUp);

const routedNic = (last: number): string[] => [
  'lxc.net.0.type = veth',
  'lxc.net.0.flags = up',
  'lxc.net.0.name = eth0',
  `lxc.net.0.ipv4.address = 198.51.100.${last}/32`,
  'lxc.net.0.ipv4.gateway = 169.254.0.1',
  `lxc.net.0.ipv6.address = 2001:db8:100::${last}/128`,
  'lxc.net.0.ipv6.gateway = fe80::1',
];

/** What the daemon will do for a routed container, by hand. */
async function routeByHand({ host }: Host, container: Container, last: number): Promise<void> {
  const veth = await container.hostVeth();
  await setSysctls(host, { 'net/ipv4/ip_forward': '1', 'net/ipv6/conf/all/forwarding': '1' });
  await runIp(host, [
    `address add 169.254.0.1/32 dev ${veth}`,
    `address add fe80::1/64 dev ${veth} nodad`,
    `route add 198.51.100.${last}/32 dev ${veth}`,
    `route add 2001:db8:100::${last}/128 dev ${veth}`,
  ]);
}

const makeContainer = (bed: Host, name: string, last: number, command = ''): Promise<Container> =>
  createContainer({ host: bed.host, lxcPath: bed.lxcPath, name, config: routedNic(last), command });

describe('a host', () => {
  test('reaches its outside and the internet beyond in both families, and back', async () => {
    const { host, outside } = await createHost();
    await listen(outside, { protocol: 'tcp', port: 80 }, { protocol: 'udp', port: 53 });
    await listen(host, { protocol: 'tcp', port: 22 });
    const outcomes = await Promise.all([
      probe(host, { protocol: 'tcp', to: '192.0.2.2', port: 80 }),
      probe(host, { protocol: 'tcp', to: '203.0.113.80', port: 80 }),
      probe(host, { protocol: 'udp', to: '203.0.113.80', port: 53 }),
      probe(host, { protocol: 'tcp', to: '2001:db8:ffff::80', port: 80 }),
      probe(host, { protocol: 'udp', to: '2001:db8:ffff::80', port: 53 }),
      probe(host, { protocol: 'icmp', to: '2001:db8:0:1::2' }),
      probe(outside, { protocol: 'tcp', to: '192.0.2.1', port: 22 }),
      probe(outside, { protocol: 'tcp', to: '2001:db8:0:1::1', port: 22 }),
    ]);
    expect(outcomes).toEqual(outcomes.map(() => 'allowed'));
  });

  test('may be without a default route', async () => {
    const { host } = await createHost({ defaultRoute: false });
    expect(await probe(host, { protocol: 'tcp', to: '203.0.113.80', port: 80 })).toBe('unroutable');
    expect(await probe(host, { protocol: 'icmp', to: '203.0.113.80' })).toBe('unroutable');
  });

  test('tells a refusal from silence, in both families and three protocols', async () => {
    const { host, outside } = await createHost();
    const rules =
      'tcp dport { 81, 82 } reject with icmpx admin-prohibited; udp dport 81 reject with icmpx admin-prohibited';
    await outside.run('nft', ['-f', '-'], {
      input: `table inet t { chain c { type filter hook input priority 0; ${rules}; th dport 83 drop
        ip daddr 203.0.113.80 icmp type echo-request reject; ip6 daddr 2001:db8:ffff::80 icmpv6 type echo-request drop; }; }`,
    });
    // A refusal ends the wait, however long: it has the time of a repeated SYN, as the first may be lost on a busy machine.
    const timeout = 3_000;
    for (const to of ['203.0.113.80', '2001:db8:ffff::80']) {
      expect(await probe(host, { protocol: 'tcp', to, port: 80, timeout })).toBe('refused');
      expect(await probe(host, { protocol: 'udp', to, port: 80, timeout })).toBe('refused');
      expect(await probe(host, { protocol: 'tcp', to, port: 81, timeout })).toBe('refused');
      expect(await probe(host, { protocol: 'udp', to, port: 81, timeout })).toBe('refused');
      expect(await probe(host, { protocol: 'tcp', to, port: 83 })).toBe('dropped');
      expect(await probe(host, { protocol: 'udp', to, port: 83 })).toBe('dropped');
    }
    expect(await probe(host, { protocol: 'icmp', to: '203.0.113.80', timeout })).toBe('refused');
    expect(await probe(host, { protocol: 'icmp', to: '2001:db8:ffff::80' })).toBe('dropped');
  });

  test('stands hundreds of probes at once', async () => {
    const { host, outside } = await createHost();
    const ports = Array.from({ length: 40 }, (_, index) => 1000 + index);
    await listen(outside, ...ports.map((port) => ({ protocol: 'tcp' as const, port })));
    const targets = [...ports, ...ports, ...ports, ...ports, ...ports, ...ports];
    const outcomes = await Promise.all(targets.map((port) => probe(host, { protocol: 'tcp', to: '192.0.2.2', port })));
    expect(outcomes.filter((outcome) => outcome === 'allowed')).toHaveLength(targets.length);
    expect(await receipts(outside)).toHaveLength(targets.length);
    expect((await receipts(outside))[0]).toMatchObject({ protocol: 'tcp', from: '192.0.2.1', to: '192.0.2.2' });
  });

  test('keeps a flow open whose end and whose silence are told', async () => {
    const { host, outside } = await createHost();
    await listen(outside, { protocol: 'tcp', port: 80 }, { protocol: 'udp', port: 80 });
    const tcp = await openFlow(host, { protocol: 'tcp', to: '192.0.2.2', port: 80 });
    const udp = await openFlow(host, { protocol: 'udp', to: '192.0.2.2', port: 80 });
    expect([await tcp.beat(), await udp.beat()]).toEqual(['alive', 'alive']);
    await unlisten(outside, { protocol: 'udp', port: 80 });
    expect(await udp.beat()).toBe('closed');
    await outside.run('nft', [
      'add table inet t; add chain inet t c { type filter hook input priority 0; policy drop; }',
    ]);
    expect(await tcp.beat()).toBe('silent');
    await tcp.release();
  });

  test('has a snapshot that shows every kind of change and is steady without one', async () => {
    const { host } = await createHost();
    const before = await readSnapshot(host);
    expect(await readSnapshot(host)).toBe(before);
    const changes: readonly (readonly [string, ...string[]])[] = [
      ['nft', 'add', 'table', 'ip', 'foreign'],
      ['ip', 'route', 'add', '198.51.100.77/32', 'dev', 'eth0'],
      ['ip', 'neigh', 'add', 'proxy', '198.51.100.78', 'dev', 'eth0'],
      ['sysctl', '-q', '-w', 'net/ipv4/conf/eth0/proxy_arp=1'],
    ];
    for (const [command, ...args] of changes) {
      const last = await readSnapshot(host);
      await host.run(command, args);
      expect(await readSnapshot(host)).not.toBe(last);
    }
  });
});

describe('a container', () => {
  test('starts, is reached through its route from outside in both families, and stops', async () => {
    const bed = await createHost();
    const web = await makeContainer(bed, 'web', 10);
    await web.start();
    expect(await web.state()).toBe('RUNNING');
    await routeByHand(bed, web, 10);
    await listen(await web.inside(), { protocol: 'tcp', port: 80 }, { protocol: 'udp', port: 53 });
    for (const to of ['198.51.100.10', '2001:db8:100::10']) {
      expect(await probe(bed.outside, { protocol: 'tcp', to, port: 80, timeout: 3_000 })).toBe('allowed');
      expect(await probe(bed.outside, { protocol: 'udp', to, port: 53 })).toBe('allowed');
      expect(await probe(bed.host, { protocol: 'icmp', to })).toBe('allowed');
      expect(await probe(bed.outside, { protocol: 'tcp', to, port: 81 })).toBe('refused');
    }
    expect((await web.exec('/bin/busybox', ['hostname'])).stdout).toBe('web');
    await web.stop();
    expect(await web.state()).toBe('STOPPED');
  });

  test('reboots with a new init and a new veth', async () => {
    const bed = await createHost();
    const web = await makeContainer(bed, 'web', 10);
    await web.start();
    const before = { pid: await web.pid(), veth: await web.hostVeth() };
    await web.reboot();
    expect(await web.pid()).not.toBe(before.pid);
    expect(await web.hostVeth()).not.toBe(before.veth);
    await web.stop('kill');
  });

  test('runs a command as the first instruction of its init', async () => {
    const bed = await createHost();
    const web = await makeContainer(bed, 'web', 10, 'echo here I am; ip address show eth0');
    await web.start();
    const log = `${web.rootfs}/run/boot.log`;
    await eventually('boot log', () => existsSync(log) && readFileSync(log, 'utf8').includes('198.51.100.10'));
  });

  test('may have an odd name and lie in a second LXC path', async () => {
    const bed = await createHost();
    const lxcPath = await makeLxcPath();
    const name = `o'dd; "name" $(x)`;
    const odd = await createContainer({ host: bed.host, lxcPath, name, config: routedNic(11) });
    await odd.start();
    expect(await odd.state()).toBe('RUNNING');
    await odd.stop();
  });

  test('that does not start fails with what LXC says', async () => {
    const bed = await createHost();
    const broken = await createContainer({
      host: bed.host,
      lxcPath: bed.lxcPath,
      name: 'broken',
      config: ['lxc.net.0.type = veth', 'lxc.net.0.link = nowhere'],
    });
    await expect(broken.start()).rejects.toThrow(/nowhere/);
  });

  test('goes too when its monitor is killed', async () => {
    const bed = await createHost();
    const web = await makeContainer(bed, 'web', 10);
    await web.start();
    const pid = await web.pid();
    await web.killMonitor();
    await web.destroy();
    expect(isAlive(pid)).toBe(false);
  });

  test('can play a hostile root with the programs of this machine', async () => {
    const bed = await createHost();
    const evil = await makeContainer(bed, 'evil', 66);
    await evil.start();
    const capture = await startCapture(bed.host, { device: await evil.hostVeth(), filter: 'udp port 9999' });
    const frame = 'Ether(dst="02:00:00:00:00:01") / IP(src="198.51.100.10", dst="192.0.2.2") / UDP(dport=9999)';
    const script = `from scapy.all import *; sendp([${frame}] * 20, iface="eth0", verbose=0)`;
    await (await evil.inside()).run('/usr/bin/python3', ['-c', script]);
    const { lines, received } = await capture.stop();
    expect(received).toBe(20);
    expect(lines[0]).toContain('198.51.100.10');
  });

  test('are not counted where they came before the filter was there', async () => {
    const { host } = await createHost();
    // The kernel counts them where they come while tcpdump opens the interface.
    const flood = host.spawn('ping', ['-f', '-q', '-c', '200000', '127.0.0.1']);
    const ended: unknown[] = [];
    const startAndStop = async (): Promise<void> => {
      const capture = await startCapture(host, { device: 'lo', filter: 'udp port 9999' });
      ended.push(await capture.stop());
    };
    for (let round = 0; round < 5; round++) await Promise.all(Array.from({ length: 8 }, startAndStop));
    await flood.stop('SIGINT');
    expect(ended).toEqual(ended.map(() => ({ lines: [], received: 0 })));
  });
});

describe('what runs in a host', () => {
  test('can be a daemon with a log, a signal and another run', async () => {
    const { host } = await createHost();
    const bye = 'process.on("SIGTERM", () => { console.error("bye"); process.exit(0) })';
    const script = `${bye}; console.log("ready as " + process.pid); setInterval(() => 0, 1000)`;
    const daemon = await startDaemon({ host, command: [process.execPath, '-e', script], ready: /^ready as \d+$/ });
    const first = await daemon.waitForLog(/ready/);
    await daemon.restart();
    expect(daemon.log()).toContain('bye');
    expect(await daemon.waitForLog(/ready/)).not.toBe(first);
    await daemon.stop('SIGKILL');
    expect(await daemon.child().exited).toMatchObject({ signal: 'SIGKILL' });
  });
});

describe('cleaning up', () => {
  const ours = (): string[] =>
    [...readdirSync('/run/netns'), ...readdirSync(tmpdir())].filter((name) => name.startsWith(ownPrefix));

  test('leaves no namespace, folder or process, also with all running', async () => {
    const bed = await createHost();
    const [one, two] = [await makeContainer(bed, 'one', 10), await makeContainer(bed, 'two', 11)];
    await one.start();
    await two.start();
    await listen(await one.inside(), { protocol: 'tcp', port: 80 });
    bed.host.spawn('lxc-monitor', ['-P', bed.lxcPath, '-n', '.*']);
    const pids = [await one.pid(), await two.pid()];
    expect(ours()).not.toEqual([]);
    await cleanUp();
    expect(ours()).toEqual([]);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  test('ends a child whose own child holds its output', async () => {
    const child = startChild('sh', ['-c', 'sleep 600 & echo $!; wait']);
    const orphan = Number(await child.waitForLine(/^\d+$/));
    try {
      expect(await child.stop()).toMatchObject({ signal: 'SIGTERM' });
      expect(isAlive(orphan)).toBe(true);
    } finally {
      process.kill(orphan, 'SIGKILL');
    }
  });

  test('tries everything and tells all that failed', async () => {
    const bed = await createHost();
    await bed.host.run('ip', ['netns', 'del', bed.host.name]);
    await expect(cleanUp()).rejects.toThrow(bed.host.name);
    expect(ours()).toEqual([]);
  });

  test('sweeps up after a process that was killed', async () => {
    const dead = await runToItsEnd();
    const [name, marked] = [`rw${dead}-left`, { env: { [MARK]: prefixOfProcess(dead) } }];
    await run('ip', ['netns', 'add', name]);
    const folder = await mkdtemp(join(tmpdir(), `rw${dead}-`));
    const left = startChild('ip', ['netns', 'exec', name, 'sleep', '100'], marked);
    sweepDeadProcesses();
    expect(await left.exited).toMatchObject({ signal: 'SIGKILL' });
    expect([existsSync(folder), existsSync(`/run/netns/${name}`)]).toEqual([false, false]);
  });
});

/** The id of a process that is dead. */
async function runToItsEnd(): Promise<number> {
  const child = startChild('true', []);
  await child.exited;
  return child.pid;
}
