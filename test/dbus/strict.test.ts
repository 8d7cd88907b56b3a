/** Networks that no rule of the host stands before, with real containers: named, and refused by the hook where that is asked for. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { nic, OPEN, type Routewall, startRoutewall } from '../lxc/routewall.ts';
import { startBus } from './system-bus.ts';

let routewall: Routewall;
let hook: string;

beforeAll(async () => {
  const bus = await startBus();
  routewall = await startRoutewall({ env: bus.env });
  await routewall.daemon.waitForLog(/D-Bus: serving/);
  await routewall.bed.host.run('ip', ['link', 'add', 'spare', 'type', 'veth', 'peer', 'name', 'spare1']);
  hook = routewall.hook;
});
afterAll(cleanUp);

const STRICT = `strict: true\n${OPEN}`;
const macvlan = (index: number, address: string): string[] => [
  `lxc.net.${index}.type = macvlan`,
  `lxc.net.${index}.link = eth0`,
  `lxc.net.${index}.flags = up`,
  `lxc.net.${index}.macvlan.mode = bridge`,
  `lxc.net.${index}.ipv4.address = ${address}/24`,
];
const NONE = ['lxc.net.0.type = none'];
const up = (index: number): string[] => [`lxc.net.${index}.script.up = ${hook}`];
const startHost = (): string[] => [`lxc.hook.start-host = ${hook}`];

/** LXC's own log, at the level that it has without any option. */
const errorsOf = async ({ lxcPath, name }: Pick<Container, 'lxcPath' | 'name'>): Promise<string> =>
  (await readFile(`${lxcPath}/${name}/lxc.log`, 'utf8'))
    .split('\n')
    .filter((line) => / ERROR /.test(line))
    .join('\n');

const interfacesOf = async (container: Container): Promise<string> =>
  (await container.exec('/bin/busybox', ['ip', '-o', 'link'])).stdout;

describe.each([0, 1])('with hook version %i, a container that demands its policy', (version) => {
  const lines = (...more: readonly string[]): string[] => [`lxc.hook.version = ${version}`, ...more];

  test('does not start with a macvlan, and the log says why', async () => {
    const container = await routewall.addContainer(`mac${version}`, {
      policy: STRICT,
      lines: lines(...macvlan(0, '192.0.2.40'), ...up(0)),
    });
    await expect(container.start()).rejects.toThrow('did not start');
    expect(await errorsOf(container)).toMatch(
      /hook - mac\d: .*config:\d+:1: error: 0 \(macvlan on eth0\): containers\/mac\d.yaml can't be enforced, since its packets go between eth0 and the container/,
    );
    await routewall.writePolicy(`containers/mac${version}.yaml`, OPEN);
    await container.start();
    await container.stop();
  });

  test('does not start with a macvlan beside a routed interface, which alone is enforced otherwise', async () => {
    const name = `mixed${version}`;
    const container = await routewall.addContainer(name, {
      policy: STRICT,
      lines: lines(...nic([`198.51.100.4${version}`]), ...up(0), ...macvlan(1, '192.0.2.41'), ...up(1)),
    });
    await expect(container.start()).rejects.toThrow('did not start');
    expect(await errorsOf(container)).toContain('1 (macvlan on eth0)');
    await routewall.writePolicy(`containers/${name}.yaml`, OPEN);
    await container.start();
    await routewall.statusTells(new RegExp(`${name} .*eth0 via veth\\w+, not on #1 \\(macvlan on eth0\\)`));
    await container.stop();
  });

  test("does not start on the host's own network", async () => {
    // One that was written for it would be refused without strict too.
    await routewall.writePolicy('containers/_default.yaml', STRICT);
    const container = await routewall.addContainer(`none${version}`, { lines: lines(...NONE, ...startHost()) });
    await expect(container.start()).rejects.toThrow('did not start');
    await routewall.writePolicy('containers/_default.yaml', undefined);
    expect(await errorsOf(container)).toContain("SHARES THE HOST'S NETWORK");
  });
});

/** `instead`: what each of them has to say; this kernel has neither ipvlan nor VLANs, so that LXC would never get to the hook. */
const KINDS: readonly (readonly [
  type: string,
  lines: readonly string[],
  names: RegExp,
  instead: RegExp,
  starts: boolean,
])[] = [
  ['macvlan', ['link = eth0'], /0 \(macvlan on eth0\)/, /give it .*, or filter where eth0 leads to/, true],
  ['ipvlan', ['link = eth0'], /0 \(ipvlan on eth0\)/, /give it .*, or filter where eth0 leads to/, false],
  ['vlan', ['link = eth0', 'vlan.id = 7'], /0 \(vlan on eth0\)/, /give it .*, or filter where eth0 leads to/, false],
  ['phys', ['link = spare'], /0 \(phys on spare\)/, /give it .*, or filter where spare leads to/, true],
  ['none', [], /the host's own network/, /give it lxc\.net\.N\.type = veth without a link/, true],
  ['empty', [], /empty network/, /give it .*, or take the file away/, true],
];

describe.each(KINDS)('a network of type %s', (type, more, names, instead, starts) => {
  const name = `as-${type}`;

  test('is named with what to do instead by list, status and check', async () => {
    const keys = [`type = ${type}`, ...more].map((line) => `lxc.net.0.${line}`);
    await routewall.addContainer(name, { policy: STRICT, lines: [...keys, ...startHost()] });
    for (const command of ['list', 'status', 'check'] as const) {
      const { exitCode, lines } = await eventually(`${command} knows it`, async () => {
        const said = await routewall.cli(command, '-n', name);
        const found = `${said.stdout}${said.stderr}`.split('\n').filter((line) => / can't be enforced/.test(line));
        return found.length > 0 && { exitCode: said.exitCode, lines: found };
      });
      expect([command, exitCode, lines]).toEqual([command, command === 'list' ? 0 : 1, [expect.stringMatching(names)]]);
      expect(lines[0]).toMatch(instead);
      expect(lines[0]).toMatch(/as-\w+\/config:\d+:1: error: /);
    }
  });

  test('is no network that explain or map speak for', async () => {
    const { stdout } = await routewall.cli('explain', '--from', `container:${name}`, '--to', 'host', 'tcp/22');
    const map = await routewall.cli('map', '-n', name);
    if (type === 'empty') {
      expect(stdout).toMatch(/^drop /);
      expect(map.stderr).toBe('');
      return;
    }
    expect(stdout).toMatch(/^allow /);
    expect(stdout).toMatch(names);
    expect(stdout).toMatch(/· .* nothing is enforced, since .*; give it /);
    expect(map.stderr).toMatch(/^not in the map, since no rule stands before it: as-/);
  });

  test('is refused by the hook where the policy is strict', async () => {
    const { lxcPath } = routewall.bed;
    const refusal = /error: .*can't be enforced, since /;
    if (starts) {
      const container = { lxcPath, name };
      await expect(
        routewall.bed.host.run('lxc-start', ['-P', lxcPath, '-n', name, '-o', `${lxcPath}/${name}/lxc.log`]),
      ).rejects.toThrow();
      expect(await errorsOf(container)).toMatch(refusal);
      return;
    }
    const said = await routewall.bed.host.runForResult('sh', ['-c', `${hook} ${name} lxc start-host`]);
    expect([said.exitCode, said.stderr]).toEqual([1, expect.stringMatching(refusal)]);
  });
});

describe("the host's own network", () => {
  test('is what LXC gives by none, and by a namespace that it keeps; not by none beside another NIC', async () => {
    const shares = async (name: string, lines: readonly string[]): Promise<[real: boolean, told: boolean]> => {
      const container = await routewall.addContainer(name, { lines });
      await container.start();
      // By then the daemon has read the configuration.
      const told = await eventually('it is listed', async () => {
        const { stdout } = await routewall.cli('list', '--json', '-n', name);
        return stdout.startsWith('[') ? stdout : undefined;
      });
      const real = (await interfacesOf(container)).includes(' eth0');
      await container.stop();
      return [real, told.includes("the host's own network")];
    };
    expect(await shares('alone', NONE)).toEqual([true, true]);
    expect(await shares('kept', ['lxc.namespace.keep = net user'])).toEqual([true, true]);
    expect(await shares('cloned', ['lxc.namespace.clone = mnt pid uts ipc'])).toEqual([true, true]);
    expect(await shares('beside', ['lxc.net.0.type = none', 'lxc.net.1.type = empty'])).toEqual([false, false]);
  });

  test('is an error for whoever has a policy, whatever strict says', async () => {
    await routewall.addContainer('loud', { policy: OPEN, lines: NONE });
    const { stdout, exitCode } = await eventually('check knows it', async () => {
      const said = await routewall.cli('check', '-n', 'loud');
      return said.exitCode === 2 ? undefined : said;
    });
    expect(stdout).toMatch(
      /config:\d+:1: error: the host's own network: containers\/loud.yaml can't be enforced, since it SHARES THE HOST'S NETWORK/,
    );
    expect(exitCode).toBe(1);
  });
});
