/** Wires between real containers, and to an interface of the host: every frame, both ways, and nothing else. */
import { afterEach, expect, it } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import type { Place } from '../../sandbox/place.ts';
import { FRAME_NAMES, listenFrames, sendFrames } from './frames.ts';
import { addressesOf, nic, OPEN, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const [LEFT, RIGHT, ANYONE] = ['020000000001', '020000000002', '000000000000'];

const wired = (index: number, extra: readonly string[] = []): string[] =>
  ['type = veth', 'flags = up', `name = eth${index}`, 'mtu = 9000', ...extra].map((line) => `lxc.net.${index}.${line}`);

const router = (routewall: Routewall, name: string, last: number) =>
  routewall.addContainer(name, {
    lines: [...nic(addressesOf(last)), ...wired(1, [`ipv4.address = 203.0.113.${last}/24`])],
    policy: OPEN,
  });

async function expectAll(
  from: Place,
  to: Place,
  source: string,
  [sent, heard]: readonly [string, string],
): Promise<void> {
  const listening = await listenFrames(to, heard, source);
  await sendFrames(from, sent, source);
  await eventually('all frames come through', () => {
    expect(listening.heard()).toEqual(FRAME_NAMES);
    return true;
  });
  await listening.stop();
}

const statusOf = async (routewall: Routewall): Promise<string> => (await routewall.cli('status')).stdout;
const isUp = async (routewall: Routewall): Promise<boolean> => /container:r1.* +up/.test(await statusOf(routewall));

it('carries every frame between two containers, both ways, and none before or after', async () => {
  const routewall = await startRoutewall({
    config: 'wires: [{ a: "container:r1/eth1", b: "container:r2/1" }]\n',
  });
  const { host } = routewall.bed;
  const r1 = await router(routewall, 'r1', 20);
  const r2 = await router(routewall, 'r2', 21);
  await routewall.start(r1);
  const left = await r1.inside();
  // One end alone: nobody speaks to it, and what it says gets no answer.
  const lonely = await listenFrames(left, 'eth1', ANYONE);
  await left.run('arping', ['-c', '2', '-w', '2', '-I', 'eth1', '192.0.2.1']).catch(() => undefined);
  await left.run('ndisc6', ['-1', '-w', '500', 'fe80::1', 'eth1']).catch(() => undefined);
  expect(lonely.lines).toEqual([]);
  expect(await statusOf(routewall)).toMatch(/container:r1\/eth1 and container:r2\/1 +down/);
  await routewall.start(r2);
  await eventually('the wire is up', () => isUp(routewall), 20_000);
  const right = await r2.inside();
  await expectAll(left, right, LEFT, ['eth1', 'eth1']);
  await expectAll(right, left, RIGHT, ['eth1', 'eth1']);
  // Ordinary traffic too, whose checksums are left to the hardware that isn't there.
  await left.run('ping', ['-c', '1', '-W', '2', '203.0.113.21']);
  await left.run('ping', ['-c', '1', '-W', '2', '-s', '8000', '203.0.113.21']);
  const listed = (await routewall.cli('list', '--json')).stdout;
  expect(listed.match(/"kind": "wired"/g)).toHaveLength(2);
  // Neither routed nor told of: the routers' own addresses are theirs.
  expect((await host.run('ip', ['route', 'show', 'table', 'all'])).stdout).not.toContain('203.0.113.2');
  // Someone's edits are healed.
  const { stdout } = await host.run('tc', ['filter', 'show', 'dev', await vethOf(routewall, 'r1'), 'ingress']);
  expect(stdout).toContain('Redirect');
  for (const what of ['filter', 'qdisc']) {
    const dev = await vethOf(routewall, 'r1');
    await host.run('tc', [what, 'del', 'dev', dev, 'ingress']);
    await eventually(
      `a lost ${what} is put back`,
      async () => {
        const found = await host.runForResult('tc', ['filter', 'show', 'dev', dev, 'ingress']);
        return found.stdout.includes('Redirect');
      },
      20_000,
    );
  }
  await expectAll(left, right, LEFT, ['eth1', 'eth1']);
  // A reboot is another veth.
  await r2.reboot();
  await eventually(
    'it is up again',
    async () => {
      const again = await r2.inside();
      return (await isUp(routewall)) && (await passes(left, again));
    },
    30_000,
  );
  await routewall.stop(r2);
  await eventually(
    'it is down',
    async () => /ingress/.test((await host.run('tc', ['qdisc', 'show'])).stdout) === false,
    20_000,
  );
  await routewall.stop(r1);
});

const passes = async (left: Place, right: Place): Promise<boolean> => {
  const listening = await listenFrames(right, 'eth1', LEFT);
  await sendFrames(left, 'eth1', LEFT);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const heard = listening.heard();
  await listening.stop();
  return heard.length === FRAME_NAMES.length;
};

async function vethOf(routewall: Routewall, name: string): Promise<string> {
  const { stdout } = await routewall.cli('list', '--json', '-n', name);
  return /"kind": "wired",\s+"link": null,\s+"hostVeth": "([^"]+)"/.exec(stdout)?.[1] ?? '';
}

it('carries every frame to an interface of the host, where a bridge keeps some for itself', async () => {
  const routewall = await startRoutewall({
    config: 'wires: [{ a: "container:r1/eth1", b: "interface:eth2" }]\n',
    prepare: async ({ host, outside }) => {
      await host.run('ip', [
        'link',
        'add',
        'eth2',
        'mtu',
        '9000',
        'type',
        'veth',
        'peer',
        'name',
        'far',
        'mtu',
        '9000',
      ]);
      await host.run('ip', ['link', 'set', 'far', 'up', 'netns', outside.name]);
      await outside.run('ip', ['link', 'set', 'far', 'up']);
    },
  });
  const { host, outside } = routewall.bed;
  const r1 = await router(routewall, 'r1', 20);
  await routewall.start(r1);
  await eventually('the wire is up', () => isUp(routewall), 20_000);
  expect((await host.run('ip', ['link', 'show', 'eth2'])).stdout).toContain('PROMISC');
  const inside = await r1.inside();
  await expectAll(inside, outside, LEFT, ['eth1', 'far']);
  await expectAll(outside, inside, RIGHT, ['far', 'eth1']);

  // The control: the same ends as ports of a bridge.
  const veth = await vethOf(routewall, 'r1');
  await routewall.daemon.stop();
  for (const dev of [veth, 'eth2']) await host.run('tc', ['qdisc', 'del', 'dev', dev, 'ingress']);
  await host.run('ip', [
    'link',
    'add',
    'br0',
    'mtu',
    '9000',
    'up',
    'type',
    'bridge',
    'stp_state',
    '1',
    'forward_delay',
    '200',
  ]);
  for (const dev of [veth, 'eth2']) await host.run('ip', ['link', 'set', dev, 'master', 'br0']);
  const listening = await listenFrames(outside, 'far', LEFT);
  await eventually(
    'the bridge forwards',
    async () => {
      await sendFrames(inside, 'eth1', LEFT);
      return listening.heard().includes('unknown');
    },
    20_000,
  );
  for (const eaten of ['lacp', 'stp', 'lldp', 'pause'] as const) expect(listening.heard()).not.toContain(eaten);
  await listening.stop();
  for (const dev of [veth, 'eth2']) await host.run('ip', ['link', 'set', dev, 'nomaster']);
  await host.run('ip', ['link', 'del', 'br0']);
  // Whoever starts without the wire in its configuration takes away what the run before it left.
  await routewall.daemon.restart();
  await eventually('it is up again', () => isUp(routewall), 20_000);
  await routewall.stop(r1);
  await eventually(
    'nothing is left',
    async () => {
      const link = (await host.run('ip', ['link', 'show', 'eth2'])).stdout;
      return !link.includes('PROMISC') && !(await host.run('tc', ['qdisc', 'show'])).stdout.includes('ingress');
    },
    20_000,
  );
});

it("comes and goes with the host's interface, and leaves what another program holds there", async () => {
  const routewall = await startRoutewall({
    config: 'wires: [{ a: "container:r1/eth1", b: "interface:eth2" }, { a: "interface:eth3", b: "interface:eth4" }]\n',
  });
  const { host, outside } = routewall.bed;
  const plug = async (dev: string, far: string): Promise<void> => {
    await host.run('ip', ['link', 'add', dev, 'mtu', '9000', 'type', 'veth', 'peer', 'name', far, 'mtu', '9000']);
    await host.run('ip', ['link', 'set', far, 'netns', outside.name]);
    await outside.run('ip', ['link', 'set', far, 'up']);
  };
  await plug('eth2', 'far');
  await host.run('tc', ['qdisc', 'add', 'dev', 'eth2', 'clsact']);
  const theirs = ['dev', 'eth2', 'ingress', 'pref', '7', 'protocol', 'arp'];
  await host.run('tc', ['filter', 'add', ...theirs, 'u32', 'match', 'u32', '0', '0']);
  const r1 = await router(routewall, 'r1', 20);
  await routewall.start(r1);
  const inside = await r1.inside();
  await eventually('it is told', async () => /eth2.*another program/.test(await statusOf(routewall)), 20_000);
  expect((await host.run('tc', ['filter', 'show', 'dev', 'eth2', 'ingress'])).stdout).toMatch(/arp pref 7 u32/);
  expect(await isUp(routewall)).toBe(false);
  await host.run('tc', ['qdisc', 'del', 'dev', 'eth2', 'clsact']);
  await eventually('it is up once there is room', () => isUp(routewall), 70_000);
  await expectAll(inside, outside, LEFT, ['eth1', 'far']);

  await host.run('ip', ['link', 'del', 'eth2']);
  const filters = async (): Promise<string> => (await host.run('tc', ['qdisc', 'show'])).stdout;
  await eventually(
    'it is down',
    async () => !(await isUp(routewall)) && !(await filters()).includes('ingress'),
    20_000,
  );
  await plug('eth2', 'far');
  await eventually('it is up again', () => isUp(routewall), 20_000);
  await expectAll(outside, inside, RIGHT, ['far', 'eth1']);

  // Two interfaces of the host need no container.
  await plug('eth3', 'far3');
  await plug('eth4', 'far4');
  await eventually('theirs is up', async () => /eth3 and .*eth4 +up/.test(await statusOf(routewall)), 20_000);
  await expectAll(outside, outside, LEFT, ['far3', 'far4']);
  await expectAll(outside, outside, RIGHT, ['far4', 'far3']);
  await routewall.stop(r1);
});

it('says where a wire is wrong', async () => {
  const routewall = await startRoutewall({
    config: [
      'wires:',
      '  - { a: "container:r1/eth1", b: "container:nobody/eth1" }',
      '  - { a: "container:r1/1", b: "interface:eth0" }',
      '  - { a: "container:r1/eth7", b: "interface:eth2" }',
      '  - { a: "interface:eth3", b: "interface:eth9" }',
      '',
    ].join('\n'),
    policies: { 'containers/r1.yaml': 'interfaces:\n  eth1: { ingress: {} }\n' },
    prepare: async ({ host }) =>
      void (await host.run('ip', ['link', 'add', 'eth2', 'type', 'veth', 'peer', 'name', 'eth3'])),
  });
  await routewall.addContainer('r1', { lines: [...nic(addressesOf(20)), ...wired(1)] });
  const { stdout, exitCode } = await routewall.cliAlone('check');
  expect(exitCode).toBe(1);
  expect(stdout).toMatch(/routewall\.yaml:2:34: error: "container:nobody\/eth1": there is no container nobody/);
  expect(stdout).toMatch(/routewall\.yaml:3:10: error: "container:r1\/1": is the end of two wires/);
  expect(stdout).toMatch(/routewall\.yaml:3:31: error: "interface:eth0": has an address of this host, 192\.0\.2\.1/);
  expect(stdout).toMatch(/routewall\.yaml:4:10: error: "container:r1\/eth7": r1 has no NIC eth7; it has eth0, eth1/);
  expect(stdout).toMatch(/routewall\.yaml:5:31: warning: "interface:eth9" is not there at present: nothing passes/);
  expect(await statusOf(routewall)).toMatch(/eth3 and interface:eth9 +down/);
  expect(stdout).toMatch(/r1\.yaml:2:3: error: eth1 is the end of a wire: no policy applies to it/);
});
