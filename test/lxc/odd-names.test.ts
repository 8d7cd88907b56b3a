/** Names and values that try to become syntax of nft, ip or a shell are served as the names that they are, or not at all. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { listen, probe } from '../../sandbox/services.ts';
import { addressesOf, nic, OPEN, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const PORT = { protocol: 'tcp', port: 80 } as const;
const SERVED = 'ingress:\n  rules:\n    - allow: tcp/80\n      from: any\n      log: true\n';

const NAMES = [
  `qu"ote`,
  `a'b`,
  'semi;colon',
  '$(touch pwned)',
  '`touch pwned`',
  '"; flush ruleset; #',
  'x } ; delete table inet routewall ; {',
  'fwd',
  'log',
  'ct',
  'drop',
  'any',
  'host',
  'internet',
  '_default2',
  '-rf',
  '--help',
  '%s%n',
  'back\\slash',
  'a name of more than fifteen letters, with blanks',
  'größe-☃',
  'größe-☃-2',
];

/** Starts it where LXC does; what LXC says where it doesn't. */
async function startIfLxcDoes(container: Container): Promise<string | undefined> {
  return await container.start().then(
    () => undefined,
    (error: unknown) => String(error),
  );
}

async function tableNames({ bed }: Routewall): Promise<string> {
  return (await bed.host.run('nft', ['list', 'tables'])).stdout;
}

describe('a container', () => {
  test.each([0, 8, 16])('is served whatever its name is (from name %i on)', async (first) => {
    const names = NAMES.slice(first, first + 8);
    const policies = Object.fromEntries(names.map((name) => [`containers/${name}.yaml`, SERVED]));
    const rw = await startRoutewall({ policies });
    const before = await tableNames(rw);
    const served = await Promise.all(
      names.map(async (name, index) => {
        const container = await rw.addContainer(name, { lines: nic(addressesOf(100 + index)) });
        const after = rw.mark();
        const refusal = await startIfLxcDoes(container);
        if (refusal !== undefined) return `${name}: ${refusal}`;
        await rw.enforced(name, { after });
        await listen(await container.inside(), PORT, { protocol: 'tcp', port: 81 });
        const [open, shut] = await Promise.all(
          [80, 81].map((port) =>
            probe(rw.bed.outside, { protocol: 'tcp', port, to: addressesOf(100 + index)[0], timeout: 4_000 }),
          ),
        );
        return `${name}: ${open}, ${shut}`;
      }),
    );
    expect(served).toEqual(names.map((name) => `${name}: allowed, dropped`));
    expect(await tableNames(rw)).toBe(before);
    expect(rw.daemon.log().filter((line) => / error: /.test(line))).toEqual([]);
    expect((await rw.cli('list', '--json')).exitCode).toBe(0);
  });

  test('with a line break in its name, which LXC can hold, neither harms others nor forges the log', async () => {
    const rw = await startRoutewall({ policies: { 'containers/_default.yaml': SERVED } });
    const folder = join(rw.bed.lxcPath, 'new\nforged line');
    await mkdir(folder);
    await writeFile(
      join(folder, 'config'),
      `${nic(['198.51.100.91']).join('\n')}\nlxc.net.0.ipv4.address = nonsense\n`,
    );
    const web = await rw.addContainer('web', { lines: nic(addressesOf(92)) });
    await rw.start(web);
    await listen(await web.inside(), PORT);
    expect(await probe(rw.bed.outside, { ...PORT, to: addressesOf(92)[0], timeout: 3_000 })).toBe('allowed');
    await rm(folder, { recursive: true });
    expect(rw.daemon.log().filter((line) => line.startsWith('forged'))).toEqual([]);
  });

  test('that LXC itself does not list (.hidden) stays shut', async () => {
    const rw = await startRoutewall({ policies: { 'containers/_default.yaml': OPEN } });
    const hidden = await rw.addContainer('.hidden', { lines: nic(addressesOf(93)) });
    await hidden.start();
    const web = await rw.addContainer('web', { lines: nic(addressesOf(92)) });
    await rw.start(web);
    await listen(rw.bed.host, PORT);
    expect(await probe(await web.inside(), { ...PORT, to: '192.0.2.1', timeout: 3_000 })).toBe('allowed');
    expect(await probe(await hidden.inside(), { ...PORT, to: '192.0.2.1', timeout: 1_500 })).not.toBe('allowed');
  });

  test('named _default takes no more than its own policy, and lends it to those without', async () => {
    const rw = await startRoutewall({ policies: { 'containers/_default.yaml': SERVED } });
    const one = await rw.addContainer('_default', { lines: nic(addressesOf(90)) });
    await rw.start(one);
    await listen(await one.inside(), PORT);
    expect(await probe(rw.bed.outside, { ...PORT, to: addressesOf(90)[0], timeout: 3_000 })).toBe('allowed');
  });
});

describe('a host-side interface', () => {
  const SERVED_VETHS = ['a;b', '$x', '{}', '};', 'fwd', 'drop', 'x`id`', '-rf', 'fifteen-letters'];
  /** What the kernel takes and nft or ip can't carry: not served, and said so. */
  const SHUT_VETHS = ['veth*', "a'b", 'x"y', 'größe', 'default'];

  test('is served whatever veth.pair calls it', async () => {
    const rw = await startRoutewall({ policies: { 'containers/_default.yaml': SERVED } });
    const before = await tableNames(rw);
    const served = await Promise.all(
      SERVED_VETHS.map(async (veth, index) => {
        const name = `odd${index}`;
        const lines = nic(addressesOf(100 + index), { extra: [`veth.pair = ${veth}`] });
        const container = await rw.addContainer(name, { lines });
        const refusal = await startIfLxcDoes(container);
        if (refusal !== undefined) return `${veth}: ${refusal}`;
        const outcome = await rw.enforced(name).catch(String);
        if (typeof outcome === 'string')
          return `${veth}: ${rw.daemon
            .log()
            .filter((line) => / error: /.test(line))
            .join('\n')}`;
        await listen(await container.inside(), PORT);
        return `${veth}: ${await probe(rw.bed.outside, { ...PORT, to: addressesOf(100 + index)[0], timeout: 4_000 })}`;
      }),
    );
    expect(served).toEqual(SERVED_VETHS.map((veth) => `${veth}: allowed`));
    expect(await tableNames(rw)).toBe(before);
  });

  test.each(SHUT_VETHS)('that nothing could name safely (%s) is not served, and harms no other', async (veth) => {
    const rw = await startRoutewall({ policies: { 'containers/_default.yaml': OPEN } });
    const odd = await rw.addContainer('odd', { lines: nic(addressesOf(80), { extra: [`veth.pair = ${veth}`] }) });
    await startIfLxcDoes(odd);
    const web = await rw.addContainer('web', { lines: nic(addressesOf(81)) });
    await rw.start(web);
    await listen(await web.inside(), PORT);
    await listen(rw.bed.host, PORT);
    expect(await probe(rw.bed.outside, { ...PORT, to: addressesOf(81)[0], timeout: 4_000 })).toBe('allowed');
    expect(rw.daemon.log().join('\n')).toMatch(/error: .*veth\.pair/);
    if ((await odd.state()) !== 'RUNNING') return;
    expect(await probe(await odd.inside(), { ...PORT, to: '192.0.2.1', timeout: 1_000 })).not.toBe('allowed');
  });

  test('with a name of more than fifteen letters is served as LXC cuts it', async () => {
    const rw = await startRoutewall({ policies: { 'containers/_default.yaml': OPEN } });
    const lines = nic(addressesOf(82), { extra: ['veth.pair = more-than-fifteen-letters'] });
    const web = await rw.addContainer('web', { lines });
    expect(await startIfLxcDoes(web)).toBeUndefined();
    await rw.enforced('web');
    expect(await web.hostVeth()).toBe('more-than-fifte');
    await listen(await web.inside(), PORT);
    expect(await probe(rw.bed.outside, { ...PORT, to: addressesOf(82)[0], timeout: 4_000 })).toBe('allowed');
  });
});
