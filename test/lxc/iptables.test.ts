/** The whole daemon where iptables enforces: what others change comes back, a change of backend opens nothing, nothing is left. */

import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { bridgedNic, createBridge } from '../../sandbox/bridge.ts';
import { cleanUp, makeFolder } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { readLeftovers } from '../../sandbox/end-state.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { readXtForeign, readXtOwn } from '../../sandbox/iptables-state.ts';
import type { Place } from '../../sandbox/place.ts';
import { type Flow, listen, openFlow, probe } from '../../sandbox/services.ts';
import { BACKENDS } from './backends.ts';
import { type Flood, startFlood } from './forbidden-flood.ts';
import { addressesOf, nic, OPEN, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const VETH = 'cvethweb';
const OUTSIDE = '203.0.113.80';
const policy = (ports: string): string =>
  `egress: { rules: [{ allow: ["${ports}"], to: any }] }\ningress: { rules: [{ allow: "${ports}", from: any }] }\n`;

/** What iptables can't say, and the words for it. */
const UNSAYABLE = `masquerade: true
egress: { rules: [{ allow: tcp/81, to: any }] }
ingress:
  rules:
    - { allow: tcp/80, from: any, limit: 1/day }
`;
const TOLD = [
  /web[.]yaml:1:1: error: masquerade needs nftables.*: the interface gets nothing/,
  /web[.]yaml:5:7: error: iptables counts back one day at most.*write "1\/day burst 1": the interface gets nothing/,
];

/** Others' rules, in whose way we must not be, and which must be the same in every byte afterwards. */
const FOREIGN = `
for ipt in iptables-legacy iptables-nft; do
$ipt -N DOCKER-USER
$ipt -A FORWARD -j DOCKER-USER
$ipt -A DOCKER-USER -s 192.0.2.99 -m comment --comment "RW- is not ours" -j RETURN
$ipt -t raw -A PREROUTING -p udp --dport 1053 -j CT --notrack
done
ip6tables-legacy -A FORWARD -s 2001:db8:9::/48 -j ACCEPT
arptables-nft -A INPUT -s 192.0.2.99 -j DROP
ipset create RW-theirs hash:ip
ipset add RW-theirs 192.0.2.7
nft add table inet somebody
nft add chain inet somebody input '{ type filter hook input priority 0; }'
nft add rule inet somebody input tcp dport 23 drop
`;

interface Scene {
  readonly routewall: Routewall;
  readonly host: Place;
  readonly web: Container;
  readonly flow: Flow;
  readonly foreign: string;
  /** The file of metrics. */
  readonly metrics: string;
}

const configOf = (backend: string, metrics: string): string =>
  `backend: ${backend}\nmetrics: { textfile: ${metrics} }\n`;

async function makeScene(backend: string, env: Readonly<Record<string, string>>): Promise<Scene> {
  let foreign = '';
  const metrics = join(await makeFolder(), 'routewall.prom');
  const routewall = await startRoutewall({
    config: configOf(backend, metrics),
    env,
    prepare: async ({ host }) => {
      await host.run('sh', ['-ec', FOREIGN]);
      foreign = await readXtForeign(host);
    },
  });
  const { bed } = routewall;
  const lines = nic([...addressesOf(10)], { extra: [`veth.pair = ${VETH}`, 'veth.ipv4.route = 198.51.100.64/28'] });
  const web = await routewall.addContainer('web', { lines, policy: policy('tcp/80') });
  await listen(bed.outside, { protocol: 'tcp', port: 80 }, { protocol: 'tcp', port: 81 });
  await routewall.start(web);
  const flow = await openFlow(await web.inside(), { protocol: 'tcp', to: OUTSIDE, port: 80, timeout: 3_000 });
  return { routewall, host: bed.host, web, flow, foreign, metrics };
}

/** From the container to the world, and from the world to the container. */
async function startFloods({ routewall: { bed }, web }: Scene): Promise<readonly Flood[]> {
  return [
    await startFlood(await web.inside(), {
      to: [OUTSIDE, '2001:db8:ffff::80'],
      port: 9_999,
      exit: { place: bed.host, device: 'eth0' },
    }),
    await startFlood(bed.outside, { to: [...addressesOf(10)], port: 9_998, exit: { place: bed.host, device: VETH } }),
  ];
}

/** Neither reading takes ours for others' rules; one of theirs is found behind ours, by whatever name. */
async function examineForeign({ routewall, host }: Scene, variant: 'nft' | 'legacy'): Promise<void> {
  const told = async (env: Readonly<Record<string, string>> = {}): Promise<readonly string[]> => {
    const ask = async (...words: readonly string[]): Promise<string> => {
      const [program, ...args] = routewall.command(words);
      return (await host.runForResult(program, args, { env: { ...routewall.env, ...env } })).stdout;
    };
    const found: readonly { message: string }[] = JSON.parse(await ask('doctor', '--json', '-n', 'web'));
    const explained = await ask('explain', '--from', OUTSIDE, '--to', 'container:web', 'tcp/80');
    expect(explained).toContain('allow');
    const messages = found.map(({ message }) => message).filter((message) => message.startsWith('chain '));
    return [...messages, ...explained.split('\n').filter((line) => line.includes('drop it'))];
  };
  expect(await told()).toEqual([]);
  const ipt = `iptables-${variant}`;
  const rule = '-A RW-theirs -p tcp --dport 80 -m conntrack --ctstate NEW -j DROP';
  await host.run('sh', ['-ec', `${ipt} -N RW-theirs; ${ipt} ${rule}; ${ipt} -A FORWARD -j RW-theirs`]);
  const name = `chain FORWARD of ${variant === 'legacy' ? `${ipt}'s ` : ''}table ip filter`;
  const by = 'by rule 1 of chain RW-theirs';
  const expected = [
    `${name} drops tcp/80 from web, which its policy allows: ${by}`,
    // DOCKER-USER returns what comes from one address, and this may come from any.
    `${name} may drop tcp/80 to web, which its policy allows: ${by}`,
    `allowed by routewall, but ${name} would drop it: ${by}`,
  ];
  expect(await told()).toEqual(expected);
  if (variant === 'legacy') expect(await told(await withoutNfTables(routewall.env))).toEqual(expected);
  await host.run('sh', ['-ec', `${ipt} -D FORWARD -j RW-theirs; ${ipt} -F RW-theirs; ${ipt} -X RW-theirs`]);
}

/** nft as it is on a kernel without nf_tables. */
async function withoutNfTables({ PATH }: Readonly<Record<string, string>>): Promise<Readonly<Record<string, string>>> {
  const folder = await makeFolder();
  const refuse = "#!/bin/sh\necho 'netlink: Error: cache initialization failed: Protocol not supported' >&2\nexit 1\n";
  await writeFile(join(folder, 'nft'), refuse, { mode: 0o755 });
  return { PATH: `${folder}:${PATH}` };
}

describe.each(BACKENDS.filter(({ backend }) => backend === 'iptables'))('by $name', ({ name, env }) => {
  const variant = name === 'iptables-nft' ? 'nft' : 'legacy';

  test('puts back what others change, over a kill too, follows policies, and leaves nothing of a container', async () => {
    const scene = await makeScene('iptables', await env());
    const { routewall, host, web, flow } = scene;
    const good = await readXtOwn(host);
    const ipt = `iptables-${variant}`;
    const healed = async (what: string): Promise<void> => {
      await eventually(what, async () => (await readXtOwn(host)) === good, 40_000).catch(() => undefined);
      expect(await readXtOwn(host), `${what}\n${routewall.daemon.log().slice(-15).join('\n')}`).toBe(good);
      expect(await flow.beat(2_000), what).toBe('alive');
    };
    const policyChain = /^-A RW-C-cvethweb -g (RW-E-\S+)$/m.exec(good)?.[1];
    expect(policyChain).toBeDefined();
    expect(await routewall.cli('preview', '--exit-code')).toMatchObject({ exitCode: 0, stderr: '' });
    await routewall.statusTells(new RegExp(`the kernel holds what the files say, by ${name}`));
    expect(JSON.parse((await routewall.cli('status', '--json')).stdout)).toMatchObject({ backend: name });
    await examineForeign(scene, variant);
    // A series of what nobody counts would say that nothing is refused.
    const measured = async (): Promise<string> => await readFile(scene.metrics, 'utf8').catch(() => '');
    const carried = 'routewall_container_packets_total{container="web"';
    await eventually('there are metrics', async () => (await measured()).includes(carried), 20_000);
    expect(await measured()).not.toContain('routewall_container_refused_packets_total{');
    const floods = await startFloods(scene);
    // A lost element or jump of one closes, and nothing passes that the rest can stop.
    for (const edit of [
      `ipset del RW-owned4 198.51.100.10,${VETH}`,
      `ipset flush RW-owned6`,
      `arptables-${variant} -F RW-ARP`,
    ]) {
      await host.run('sh', ['-ec', edit]);
      await healed(edit);
    }
    for (const flood of floods) {
      expect(flood.leaked()).toEqual([]);
      await flood.stop();
    }
    const edits = [
      // Somebody else's rule takes the first place.
      `${ipt} -D FORWARD -j RW-FORWARD-FROM; ${ipt} -A FORWARD -j RW-FORWARD-FROM`,
      `${ipt} -F ${policyChain}; ip6tables-${variant} -t raw -F RW-ANTISPOOF`,
      `${ipt} -I RW-FORWARD-FROM -j ACCEPT; ip6tables-${variant} -A RW-INPUT -j ACCEPT`,
    ];
    for (const edit of edits) {
      await host.run('sh', ['-ec', edit]);
      await healed(edit);
    }
    await routewall.daemon.stop('SIGKILL');
    await host.run('sh', ['-ec', `ipset flush RW-owned4; ${ipt} -D INPUT -j RW-INPUT`]);
    await routewall.daemon.restart();
    await healed('a kill');
    await routewall.daemon.restart();
    expect(routewall.daemon.log().at(-1)).not.toContain('repaired');

    await routewall.writePolicy('containers/web.yaml', policy('tcp/81'));
    await eventually('the flow is cut', async () => (await flow.beat(500)) !== 'alive', 15_000);
    const reach = async (port: number) => await probe(await web.inside(), { protocol: 'tcp', to: OUTSIDE, port });
    expect([await reach(80), await reach(81)]).toEqual(['dropped', 'allowed']);

    // What needs nftables gets nothing at once, and that is no difference that waits to be written.
    const live = await openFlow(await web.inside(), { protocol: 'tcp', to: OUTSIDE, port: 81, timeout: 3_000 });
    await routewall.writePolicy('containers/web.yaml', UNSAYABLE);
    await eventually('its flow is cut', async () => (await live.beat(500)) !== 'alive', 15_000);
    await live.release();
    expect(await reach(81)).toBe('dropped');
    for (const words of ['check', 'status']) {
      // The status is told a little behind.
      await eventually(`${words} tells all`, async () => {
        const { exitCode, stdout } = await routewall.cli(words);
        return exitCode === 1 && TOLD.every((pattern) => pattern.test(stdout));
      });
    }
    expect(await routewall.cli('preview', '--exit-code')).toMatchObject({ exitCode: 0 });
    const asked = await routewall.cli('explain', '--from', 'container:web', '--to', OUTSIDE, 'tcp/81');
    expect([asked.exitCode, asked.stdout]).toEqual([
      1,
      expect.stringMatching(/^drop [\s\S]*✗ iptables of web +masquerade/),
    ]);
    // One on a bridge, which nothing can be said of, keeps nobody else from what can.
    await createBridge(routewall.bed.host);
    const port = await routewall.addContainer('port', { lines: bridgedNic(['198.51.100.140']), policy: OPEN });
    await port.start();
    await routewall.writePolicy('containers/web.yaml', policy('tcp/80'));
    await eventually('it is open', async () => (await reach(80)) === 'allowed', 15_000);
    await port.stop();

    expect((await readLeftovers(host)).join('\n')).toMatch(
      /RW-C-cvethweb[\s\S]*RW-E-[\s\S]*add RW-held4 198[.]51[.]100[.]10/,
    );
    await routewall.stop(web);
    expect(await readLeftovers(host)).toEqual([]);
    expect(routewall.daemon.log().filter((line) => line.includes('counters of'))).toEqual([]);
    expect(await readXtForeign(host)).toBe(scene.foreign);
  });

  test('a panic without a daemon, and over a change of backend: sealed throughout, and its end opens all', async () => {
    const { routewall, host, web } = await makeScene('iptables', await env());
    const reach = async () => await probe(await web.inside(), { protocol: 'tcp', to: OUTSIDE, port: 80 });
    const seals = async (): Promise<string> => {
      const { stdout } = await host.run('sh', ['-c', 'nft list tables; iptables-legacy-save; iptables-nft-save']);
      const kinds = [/^table inet routewall_panic$/m, /^-A PREROUTING -j RW-PANIC-FROM$/m];
      return kinds.map((kind, index) => (kind.test(stdout) ? ['nftables', 'iptables'][index] : '')).join('');
    };
    expect(await reach()).toBe('allowed');
    await routewall.daemon.stop();
    const panic = async (word: string): Promise<string> => {
      const { exitCode, stderr } = await routewall.cliAlone('panic', word);
      return `${exitCode} ${stderr}`;
    };
    expect(await panic('on')).toMatch(/^0 /);
    expect([await seals(), await reach()]).toEqual(['iptables', 'dropped']);
    await writeFile(routewall.configFile, 'backend: nftables\n');
    await routewall.daemon.restart();
    expect([await seals(), await reach()]).toEqual(['nftables', 'dropped']);
    await writeFile(routewall.configFile, 'backend: iptables\n');
    await eventually('iptables seals alone', async () => (await seals()) === 'iptables', 15_000);
    expect(await reach()).toBe('dropped');
    await routewall.daemon.stop();
    // What another backend left, or somebody put in, goes with the end too.
    await writeFile(routewall.configFile, 'backend: nftables\n');
    expect(await panic('on')).toMatch(/^0 /);
    expect(await panic('off')).toMatch(/^0 /);
    expect([await seals(), await reach()]).toEqual(['', 'allowed']);
  });

  test('nftables to iptables and back, under a flood: nothing leaks, nothing is lost, nothing of the other is left', async () => {
    const scene = await makeScene('nftables', await env());
    const { routewall, host, flow } = scene;
    const floods = await startFloods(scene);
    let beats = 0;
    let isOver = false;
    const beating = (async () => {
      while (!isOver) {
        expect(await flow.beat(3_000)).toBe('alive');
        beats += 1;
        await sleep(20);
      }
    })();
    const tables = async (): Promise<string> =>
      (await host.run('nft', ['list', 'tables'])).stdout
        .split('\n')
        .filter((line) => line.includes('routewall'))
        .join();
    const first = await tables();
    expect(first).toContain('table inet routewall');
    for (const backend of ['iptables', 'nftables', 'iptables', 'nftables']) {
      await writeFile(routewall.configFile, configOf(backend, scene.metrics));
      await eventually(
        `${backend} alone serves`,
        async () => {
          const [nft, xt] = [await tables(), await readXtOwn(host)];
          return backend === 'nftables' ? nft === first && xt === '' : nft === '' && xt.includes(`RW-C-${VETH}`);
        },
        20_000,
      );
      expect(await readXtForeign(host)).toBe(scene.foreign);
    }
    isOver = true;
    await beating;
    expect(beats).toBeGreaterThan(10);
    for (const flood of floods) {
      expect(flood.leaked()).toEqual([]);
      await flood.stop();
    }
  });

  test('rules that no daemon remembers are found by the doctor, whose line has them taken away', async () => {
    const { routewall, host, metrics } = await makeScene('iptables', await env());
    const state = `${routewall.env['STATE_DIRECTORY']}/backends`;
    await routewall.daemon.stop();
    await rm(state);
    await writeFile(routewall.configFile, configOf('nftables', metrics));
    await routewall.daemon.restart();
    const own = async (): Promise<readonly { message: string; mend: string; severity: string }[]> =>
      JSON.parse((await routewall.cli('doctor', '--json')).stdout).filter(({ message = '' }) =>
        /serves, and the kernel holds|records no refusals/.test(message),
      );
    expect(await own()).toMatchObject([
      { severity: 'error', mend: `echo ${name} >>${state} && systemctl restart routewall` },
    ]);
    const [line = ''] = (await own()).map(({ mend }) => mend.split(' && ')[0]);
    await host.run('sh', ['-c', line]);
    await routewall.daemon.restart();
    await eventually('they are gone', async () => (await readXtOwn(host)) === '', 15_000);
    expect(await own()).toEqual([]);
  });
});
