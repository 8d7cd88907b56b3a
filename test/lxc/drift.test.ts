/** What others do to the kernel's state is found and mended, and nothing forbidden passes that the rest can stop. */
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import type { Child } from '../../sandbox/child.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { type Flow, listen, openFlow } from '../../sandbox/services.ts';
import { childrenOf, commandOf } from '../attack/processes.ts';
import { type Flood, startFlood } from './forbidden-flood.ts';
import { type OwnState, ownStateBy, readForeign, readOwnState } from './kernel-state.ts';
import { addressesOf, nic, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

/** Not one that the guard's pattern matches. */
const VETH = 'cvethweb';
const FOREIGN = 'table inet somebody { chain input { type filter hook input priority 0; tcp dport 23 drop; }; }';
const POLICY = 'egress: { rules: [{ allow: tcp/80, to: any }] }\ningress: { rules: [{ allow: tcp/80, from: any }] }\n';
const ADDRESSES = [...addressesOf(10), '192.0.2.10', '2001:db8:0:1::10'];

interface Scene {
  readonly routewall: Routewall;
  readonly web: Container;
  readonly flow: Flow;
  readonly monitor: Child;
  readonly good: OwnState;
}

/**
 * One running container with an open flow; what the kernel holds now is what it must hold again. No regular comparison comes
 * to the help of what an event should have mended.
 */
async function makeScene(config = ''): Promise<Scene> {
  const routewall = await startRoutewall({
    config: `resync: 86400\n${config}`,
    prepare: async ({ host }) => {
      await host.run('nft', ['-f', '-'], { input: `${FOREIGN}\n` });
    },
  });
  const { bed } = routewall;
  const web = await routewall.addContainer('web', {
    lines: nic(ADDRESSES, { extra: [`veth.pair = ${VETH}`] }),
    policy: POLICY,
  });
  await listen(bed.outside, { protocol: 'tcp', port: 80 });
  await routewall.start(web);
  const flow = await openFlow(await web.inside(), { protocol: 'tcp', to: '203.0.113.80', port: 80, timeout: 3_000 });
  const good = await eventually('the neighbours were asked, and both proxies are set', async () => {
    const state = await readOwnState(bed.host);
    return state.proxies.length === 2 && state;
  });
  const monitor = bed.host.spawn('nft', ['monitor']);
  return { routewall, web, flow, monitor, good };
}

const generations = ({ monitor }: Scene): number =>
  monitor.lines.filter((line) => line.startsWith('# new generation')).length;

/** Waits until the kernel holds the good state and nobody writes any more; fails with the difference. */
async function healed(scene: Scene, what: string): Promise<void> {
  const { routewall, good } = scene;
  const { host } = routewall.bed;
  const found = await ownStateBy(host, (state) => isDeepStrictEqual(state, good));
  const log = routewall.daemon.log().slice(-25).join('\n');
  expect(found, `${what}\n${log}`).toEqual(good);
}

/** Does it, waits until it is mended, and holds the daemon to a few writes of its own. */
async function drift(scene: Scene, commands: readonly string[]): Promise<void> {
  const { host } = scene.routewall.bed;
  const begin = generations(scene);
  for (const command of commands) {
    const [program = '', ...args] = command.split(' ');
    await host.run(program, args);
  }
  await healed(scene, commands.join('; '));
  await eventually('nobody writes any more', async () => {
    const count = generations(scene);
    await sleep(150);
    return count === generations(scene);
  });
  expect(generations(scene) - begin, `writes after ${commands.join('; ')}`).toBeLessThanOrEqual(commands.length + 3);
  expect(await scene.flow.beat(2_000), `flow after ${commands.join('; ')}`).toBe('alive');
}

/** From the container to the world, and from the world to the container. */
async function startFloods({ routewall: { bed }, web }: Scene): Promise<readonly Flood[]> {
  const inside = await web.inside();
  return [
    await startFlood(inside, {
      to: ['203.0.113.80', '2001:db8:ffff::80'],
      port: 9_999,
      exit: { place: bed.host, device: 'eth0' },
    }),
    await startFlood(bed.outside, { to: [...addressesOf(10)], port: 9_998, exit: { place: bed.host, device: VETH } }),
  ];
}

test('a lost element of any set or map lets nothing forbidden through and comes back', async () => {
  const scene = await makeScene();
  const floods = await startFloods(scene);
  const elements = [
    ['inet', 'veths', `"${VETH}"`],
    ['arp', 'veths', `"${VETH}"`],
    ['inet', 'guarded', `"${VETH}"`],
    ['arp', 'guarded', `"${VETH}"`],
    ['inet', 'from_container', `"${VETH}"`],
    ['inet', 'to_container', `"${VETH}"`],
    ['inet', 'owned4', `"${VETH}" . 198.51.100.10`],
    ['inet', 'owned6', `"${VETH}" . 2001:db8:100::10`],
    ['arp', 'owned4', `"${VETH}" . 198.51.100.10`],
    ['inet', 'never4', '5'],
    ['inet', 'lan4', '192.0.2.0/24'],
    ['inet', 'ported', '17'],
  ];
  for (const [family, set, element] of elements) {
    await drift(scene, [`nft delete element ${family} routewall ${set} { ${element} }`]);
  }
  await drift(scene, [`nft add element inet routewall owned4 { "${VETH}" . 203.0.113.7 }`]);
  await drift(scene, ['nft add element inet routewall veths { "other0" }']);
  for (const flood of floods) {
    expect(flood.leaked()).toEqual([]);
    await flood.stop();
  }
});

test('a flushed, deleted or foreign rule, chain, set or table is mended, and only once', async () => {
  const scene = await makeScene();
  const { host } = scene.routewall.bed;
  const before = await readForeign(host);
  const chains = Object.keys(scene.good.tables).flatMap(
    (name) => /^inet chain ([ei]n?gress_[0-9a-f]{8,})$/.exec(name)?.[1] ?? [],
  );
  expect(chains).toHaveLength(2);
  await drift(scene, ['nft insert rule inet routewall forward_from accept']);
  await drift(scene, ['nft add rule inet routewall antispoof accept']);
  for (const chain of ['antispoof', 'forward_from', 'forward_to', 'input', 'output', 'receive', 'related', ...chains])
    await drift(scene, [`nft flush chain inet routewall ${chain}`]);
  await drift(scene, [`nft insert rule inet routewall ${chains[0]} accept`]);
  for (const set of ['set inet routewall veths', 'set arp routewall owned4', 'map inet routewall from_container'])
    await drift(scene, [`nft flush ${set}`]);
  await drift(scene, ['nft add chain inet routewall foreign', 'nft add set inet routewall theirs { type ifname; }']);
  await drift(scene, ['nft flush table inet routewall']);
  await drift(scene, ['nft add table inet routewall { flags dormant; }']);
  await drift(scene, ['nft delete table inet routewall']);
  await drift(scene, ['nft delete table arp routewall']);
  await drift(scene, ['nft delete table inet routewall', 'nft delete table arp routewall']);
  expect(await readForeign(host)).toBe(before);
  await drift(scene, ['nft flush ruleset']);
  // What the flush took of others isn't ours to bring back.
  expect(await readForeign(host)).toBe(before.replace(/table inet somebody \{\n[\s\S]*?\n\}\n/, ''));
  // From an empty ruleset on, ten more in a row.
  for (let round = 0; round < 10; round += 1) await host.run('nft', ['flush', 'ruleset']);
  await healed(scene, 'ten flushes');
  const floods = await startFloods(scene);
  await sleep(200);
  for (const flood of floods) {
    expect(flood.leaked()).toEqual([]);
    await flood.stop();
  }
});

/** Runs what follows a free process number under it: clone3 of x86 and arm with a set_tid, as checkpoints are restored. */
const UNDER_NUMBER = `
  my $number = pack 'i', shift;
  my $order = pack 'Q11', 0, 0, 0, 0, 17, 0, 0, 0, unpack('Q', pack 'p', $number), 1, 0;
  my $child = syscall 435, $order, length $order;
  exec @ARGV or die $! if $child == 0;
  die $! if $child < 0;
  waitpid $child, 0;
  exit $? >> 8;`;

test('what another does under the process number of an nft that was ours is mended like all that others do', async () => {
  const scene = await makeScene();
  const { bed, daemon, writePolicy } = scene.routewall;
  const ours = childrenOf(daemon.child().pid).find((pid) => commandOf(pid) === 'nft -i') ?? expect.unreachable();
  process.kill(ours, 'SIGKILL');
  await eventually('it is gone', async () => !existsSync(`/proc/${ours}`));
  // By another nft; and behind the comparison that follows such a loss.
  await writePolicy('containers/web.yaml', POLICY.replace('tcp/80', 'tcp/80-81'));
  const { tables } = scene.good;
  await eventually(
    'the edit is in force',
    async () =>
      (await readOwnState(bed.host)).tables['inet map from_container']?.join() !==
      tables['inet map from_container']?.join(),
  );
  await writePolicy('containers/web.yaml', POLICY);
  await healed(scene, 'edited back');
  await drift(scene, ['nft flush chain inet routewall forward_to']);
  const flush = ['nft', 'flush', 'chain', 'inet', 'routewall', 'forward_from'];
  await bed.host.run('perl', ['-e', UNDER_NUMBER, String(ours), ...flush]);
  await healed(scene, flush.join(' '));
});

test('what goes while ip monitor hears nothing comes back once there is another one', async () => {
  const scene = await makeScene();
  const { bed, daemon } = scene.routewall;
  const monitor = childrenOf(daemon.child().pid).find((pid) => / monitor link /.test(commandOf(pid)));
  process.kill(monitor ?? expect.unreachable(), 'SIGSTOP');
  for (const lost of ['ip route del 198.51.100.10/32 proto 119', `ip addr del 169.254.0.1/32 dev ${VETH}`]) {
    const [program = '', ...args] = lost.split(' ');
    await bed.host.run(program, args);
  }
  expect(await readOwnState(bed.host)).not.toEqual(scene.good);
  process.kill(monitor ?? expect.unreachable(), 'SIGKILL');
  await healed(scene, 'without its monitor');
});

test('lost routes, gateway addresses and settings come back by their events', async () => {
  const scene = await makeScene();
  const before = await readForeign(scene.routewall.bed.host);
  await drift(scene, ['ip route del 198.51.100.10/32 proto 119']);
  await drift(scene, ['ip -6 route del 2001:db8:100::10/128 proto 119']);
  await drift(scene, ['ip -4 route flush proto 119', 'ip -6 route flush proto 119']);
  await drift(scene, [`ip address del 169.254.0.1/32 dev ${VETH}`]);
  await drift(scene, [`ip address del fe80::1/128 dev ${VETH}`]);
  await drift(scene, [`ip link set ${VETH} down`, `ip link set ${VETH} up`]);
  const settings = [
    `net/ipv4/conf/${VETH}/forwarding`,
    'net/ipv4/conf/eth0/forwarding',
    'net/ipv6/conf/all/forwarding',
    'net/ipv6/conf/all/proxy_ndp',
    'net/ipv6/conf/eth0/proxy_ndp',
  ];
  for (const key of settings) {
    await scene.routewall.bed.host.run('sysctl', ['-q', '-w', `${key}=0`]);
    await eventually(`${key} is 1 again`, async () => {
      const { stdout } = await scene.routewall.bed.host.run('cat', [`/proc/sys/${key}`]);
      return stdout.trim() === '1';
    });
  }
  await healed(scene, 'settings');
  expect(await scene.flow.beat(2_000)).toBe('alive');
  expect(await readForeign(scene.routewall.bed.host)).toBe(before);
});

for (const [how, config] of [
  ['named', 'uplinks: [eth0]\n'],
  ['found', ''],
]) {
  test(`an uplink (${how}) that goes down and comes back has its proxies and routes again`, async () => {
    const scene = await makeScene(config);
    const { host } = scene.routewall.bed;
    await host.run('ip', ['link', 'set', 'eth0', 'down']);
    await eventually('the proxies went', async () => (await readOwnState(host)).proxies.length < 2);
    await host.run('ip', ['link', 'set', 'eth0', 'up']);
    // With an administrator's or networkd's own part: IPv6 addresses and routes go with the link.
    await host.run('ip', ['address', 'add', '2001:db8:0:1::1/64', 'dev', 'eth0', 'nodad']);
    await host.run('ip', ['route', 'add', 'default', 'via', '192.0.2.2']);
    await healed(scene, 'uplink up');
    expect(await scene.flow.beat(3_000)).toBe('alive');
  });
}

test('lost neighbour proxies, of which the kernel tells nobody, come back without a resync', async () => {
  const scene = await makeScene();
  // What goes before it was seen once, half a second at most, waits for the resync.
  await sleep(2_000);
  await drift(scene, ['ip neigh del proxy 192.0.2.10 dev eth0']);
  await drift(scene, ['ip neigh del proxy 2001:db8:0:1::10 dev eth0']);
  expect(scene.good.proxies).toHaveLength(2);
  const { daemon } = scene.routewall;
  expect(daemon.log().join('\n')).toMatch(/repaired.*neigh replace proxy 2001:db8:0:1::10 dev eth0/);
  // What goes with its container is no drift.
  const mark = daemon.log().length;
  await scene.routewall.stop(scene.web);
  await sleep(1_500);
  expect(daemon.log().slice(mark).join('\n')).not.toContain('proxy');
});
