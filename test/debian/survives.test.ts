/** What must outlive the daemon's death and a reboot: the time in which a change is to be confirmed, and a panic. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { DebianContainer } from '../../sandbox/debian-container.ts';
import { bootDebianHost, type DebianHost } from '../../sandbox/debian-host.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { addContainer, expectActive, mainPid, waitUntilInForce, writePolicy } from './lxc-host.ts';
import { aptInstall, packageFile } from './package.ts';
import { abridge, normalise, parsePage } from './page.ts';

const OPEN = 'ingress:\n  rules:\n    - allow: icmp/echo-request\n      from: any\n';
const TIGHT = OPEN.replace('icmp/echo-request', 'tcp/80');

/** By the last part of their addresses. */
const LAST = { web: 20, mail: 30 } as const;
type Name = keyof typeof LAST;

describe('a host whose tables are owned', () => {
  let host: DebianHost;
  const containers: DebianContainer[] = [];

  beforeAll(async () => {
    host = await bootDebianHost({
      release: 'trixie',
      up: ['sysctl -q -w net/ipv4/ip_forward=1 net/ipv6/conf/all/forwarding=1'],
      files: { 'etc/nftables.conf': '#!/usr/sbin/nft -f\nflush ruleset\n' },
    });
    await host.system.run('systemctl', ['enable', '--now', 'nftables.service']);
    for (const [name, last] of Object.entries(LAST)) {
      // By LXC's own routes they are reached without the daemon too, and by fixed names the last rules are theirs.
      const extra = ['veth.mode = router', 'link = eth0', `veth.pair = ${name}0`];
      containers.push(await addContainer(host, name, { last, policy: OPEN, extra, lines: ['lxc.start.auto = 1'] }));
    }
    await aptInstall(host, await packageFile());
    await host.write('/etc/routewall/routewall.yaml', 'autoApply: false\n');
    for (const container of containers) await container.start();
    await waitUntilInForce(host);
  });
  afterAll(cleanUp);
  beforeEach(async () => {
    for (const container of containers) await container.waitFor('RUNNING');
  });

  const routewall = async (...words: readonly string[]): Promise<string> =>
    (await host.system.run('routewall', words)).stdout;
  const answers = async (name: Name, family: 4 | 6 = 4): Promise<boolean> => {
    const to = family === 4 ? `198.51.100.${LAST[name]}` : `2001:db8:100::${LAST[name]}`;
    return (await host.outside.runForResult('ping', ['-n', '-c', '2', '-i', '0.2', '-W', '1', to])).exitCode === 0;
  };
  /** Whether each answers, in both families. */
  const reached = async (): Promise<unknown> => {
    const [web, mail] = await Promise.all(
      (['web', 'mail'] as const).map((name) => Promise.all([answers(name), answers(name, 6)])),
    );
    return { web, mail };
  };
  const [BOTH, NEITHER] = [
    [true, true],
    [false, false],
  ];
  async function becomes(what: unknown): Promise<void> {
    let last: unknown;
    const isSo = async (): Promise<boolean> => {
      last = await reached();
      return JSON.stringify(last) === JSON.stringify(what);
    };
    await eventually('it is reached', isSo, 30_000).catch((cause: unknown) => {
      throw new Error(`reached: ${JSON.stringify(last)}`, { cause });
    });
  }

  async function rebootAndStart(): Promise<void> {
    await host.reboot();
    for (const container of containers) await container.waitFor('RUNNING');
  }

  test('a change that nobody confirms is taken back, whatever happens to daemon and host', async () => {
    await becomes({ web: BOTH, mail: BOTH });
    await writePolicy(host, 'web', TIGHT);
    expect(await routewall('apply', '--confirm', '30s')).toContain('revision 2 is in force for 30 s');
    expect(await reached()).toEqual({ web: NEITHER, mail: BOTH });
    await host.system.run('kill', ['-KILL', String(await mainPid(host))]);
    await eventually('the next daemon serves', async () => {
      const { stdout } = await host.system.runForResult('routewall', ['status']);
      return stdout.includes('revision 2 is in force until');
    });
    expect(await reached()).toEqual({ web: NEITHER, mail: BOTH });
    await rebootAndStart();
    await becomes({ web: BOTH, mail: BOTH });
    expect(await routewall('history')).toMatch(/^ {2}2 .*taken back$[\s\S]*^\* 1 /m);
  });

  /** Its table, where there is one. */
  const panicTable = async (): Promise<string> =>
    (await host.system.runForResult('nft', ['list', 'table', 'inet', 'routewall_panic'])).stdout;

  test('a panic holds over a reboot, and over one with the daemon masked', async () => {
    await routewall('panic', 'on', '-n', 'web');
    expect(await reached()).toEqual({ web: NEITHER, mail: BOTH });
    await rebootAndStart();
    await expectActive(host, 'routewall.service');
    await becomes({ web: NEITHER, mail: BOTH });
    // Its table was the daemon's own; what a dead daemon leaves, the command can take away, and put in anew.
    await host.system.run('systemctl', ['stop', 'routewall.service']);
    expect(await reached()).toEqual({ web: NEITHER, mail: BOTH });
    await routewall('panic', 'off', '-n', 'web');
    expect(await reached()).toEqual({ web: BOTH, mail: BOTH });
    await routewall('panic', 'on', '-n', 'web');
    await host.system.run('systemctl', ['start', 'routewall.service']);
    await becomes({ web: NEITHER, mail: BOTH });
    await host.system.run('systemctl', ['mask', 'routewall.service']);
    await rebootAndStart();
    // Nobody is there to put back what nftables.service flushes.
    for (const command of ['is-active', 'reload', 'restart']) {
      await host.system.run('systemctl', [command, 'nftables.service']);
      expect([command, await panicTable()]).toEqual([command, expect.stringContaining('"web0"')]);
      expect(await reached()).toMatchObject({ web: NEITHER });
    }
  });

  test('a panic that was switched off does not come back', async () => {
    expect(await routewall('panic', 'off', '-n', 'web')).toContain('no container is sealed');
    expect(await panicTable()).toBe('');
    await rebootAndStart();
    expect(await panicTable()).toBe('');
    await host.system.run('systemctl', ['unmask', 'routewall.service']);
    await host.system.run('systemctl', ['enable', '--now', 'routewall.service']);
    await becomes({ web: BOTH, mail: BOTH });
  });

  test('docs/changing-policies.md says what happens', async () => {
    const page = await readFile(fileURLToPath(new URL('../../docs/changing-policies.md', import.meta.url)), 'utf8');
    const numbered = (text: string): string =>
      normalise(text).replaceAll(/\brevision \d+|(?<=^[ *] )\d+(?= )|(?<=^rolled back to )\d+/gm, 'N');
    for (const { kind, name, text } of parsePage(page)) {
      if (kind === 'file') {
        await host.write(name, text);
        continue;
      }
      const { stdout } = await host.system.runForResult('bash', ['-c', `exec 2>&1; ${name}`]);
      const shown = numbered(text);
      expect([name, abridge(numbered(stdout), shown)]).toEqual([name, shown]);
    }
  });
});
