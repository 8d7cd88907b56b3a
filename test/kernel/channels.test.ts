/** The resident nft and ip, as real children in a network namespace. */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openIpChannel } from '../../controller/commands/ip-channel.ts';
import { type NftChannel, openNftChannel } from '../../controller/commands/nft-channel.ts';
import { CommandError, type Resident, type Run, runOrThrow } from '../../controller/commands/run.ts';
import { cleanUp, makeFolder } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { createNamespace, type Namespace } from '../../sandbox/namespace.ts';
import { runIn, startIn } from './namespace-commands.ts';

let namespace: Namespace;
let inside: Run;
let children: Resident[];

beforeEach(async () => {
  namespace = await createNamespace('channels');
  inside = runIn(namespace);
  children = [];
});
afterEach(cleanUp);

/** Only what the test itself started. */
function killLast(): number {
  const pid = children.at(-1)?.pid;
  if (pid === undefined) throw new Error('no child to kill');
  process.kill(pid, 'SIGKILL');
  return pid;
}

const output = async (command: string, ...args: string[]): Promise<string> => runOrThrow(inside, command, args);

describe('the nft channel', () => {
  let channel: NftChannel;
  let folder: string;

  beforeEach(async () => {
    folder = await makeFolder();
    channel = openNftChannel(startIn(namespace, children), folder);
    expect(
      await channel.commit(['add table inet routewall', 'add set inet routewall s { type ifname; }']),
    ).toBeUndefined();
  });
  afterEach(() => channel.stop());

  const elements = async (): Promise<string[]> =>
    (await output('nft', 'list', 'set', 'inet', 'routewall', 's')).match(/"[^"]+"/g) ?? [];
  const add = (...names: string[]): string =>
    `add element inet routewall s { ${names.map((name) => `"${name}"`).join(', ')} }`;
  const many = (count: number): string[] => Array.from({ length: count }, (_, index) => `v${index}`);

  it('commits ten thousand elements in one command, and in ten thousand', async () => {
    expect(await channel.commit([add(...many(10_000))])).toBeUndefined();
    expect(await elements()).toHaveLength(10_000);
    expect(await channel.commit(['flush set inet routewall s'])).toBeUndefined();
    expect(await channel.commit(many(10_000).map((name) => add(name)))).toBeUndefined();
    expect(await elements()).toHaveLength(10_000);
  });

  it('names the one command among ten thousand that nft refuses, and does none of them', async () => {
    const commands = many(10_000).map((name) => add(name));
    commands[7_123] = 'add rule inet routewall nowhere accept';
    const refusal = await channel.commit(commands);
    expect(refusal?.command).toBe(commands[7_123]);
    expect(refusal?.message).toMatch(/No such file or directory/);
    expect(await elements()).toEqual([]);
  });

  it.each([
    ['a syntax error', 'add rule inet routewall c tcp dport'],
    ['a word that nft does not know', 'routewall-done-3'],
    ['a quote that never ends', 'add element inet routewall s { "a }'],
    ['a brace that never ends', 'add chain inet routewall c { type filter hook input priority 0;'],
    ['a name that is to be resolved', 'add rule inet routewall c ip saddr no.such.name.invalid accept'],
    ['a name that is too long', 'add element inet routewall s { "0123456789abcdef" }'],
    ['a table that does not exist', 'delete table inet nowhere'],
  ])('is refused %s, and takes the next transaction', async (_what, command) => {
    const refusal = await channel.commit([add('before'), command, add('after')]);
    expect(refusal?.message).toMatch(/./);
    expect(await elements()).toEqual([]);
    expect(await channel.commit([add('next')])).toBeUndefined();
    expect(await elements()).toEqual(['"next"']);
  });

  it('takes transactions that are given at once one after the other', async () => {
    const commands = many(50).map((name) => add(name));
    const refusals = await Promise.all(
      commands.map((command, index) => channel.commit(index % 10 === 3 ? ['add nonsense'] : [command])),
    );
    expect(refusals.filter((refusal) => refusal !== undefined)).toHaveLength(5);
    expect(await elements()).toHaveLength(45);
    expect(children).toHaveLength(1);
  });

  it('commits a thousand times through the same child', async () => {
    for (const name of many(1_000)) expect(await channel.commit([add(name)])).toBeUndefined();
    expect(await elements()).toHaveLength(1_000);
    expect(children).toHaveLength(1);
  });

  it('starts anew after its child was killed between two commits', async () => {
    for (const name of ['a', 'b', 'c']) {
      const pid = channel.pid;
      killLast();
      await eventually('told of the end', () => channel.pid === undefined);
      expect(await channel.commit([add(name)])).toBeUndefined();
      expect(channel.pid).not.toBe(pid);
    }
    expect((await elements()).sort()).toEqual(['"a"', '"b"', '"c"']);
  });

  it('says that it knows nothing when its child dies before it answers', async () => {
    const pid = channel.pid ?? expect.unreachable();
    process.kill(pid, 'SIGSTOP');
    const outcome = channel.commit([add('a')]).catch((cause: unknown) => cause);
    await eventually('written', async () => (await readFile(`${folder}/transaction.nft`, 'utf8')).includes('"a"'));
    killLast();
    const cause = await outcome;
    // The child may die before it was spoken to; then another one did it.
    if (cause === undefined) expect(await elements()).toEqual(['"a"']);
    else expect(cause).toBeInstanceOf(CommandError);
    expect(await channel.commit([add('b')])).toBeUndefined();
    expect(await elements()).toContain('"b"');
  });

  it('is whole or not at all, wherever within a commit its child is killed', async () => {
    const commands = many(10_000).map((name) => add(name));
    for (const wait of [2, 10, 20, 40, 60, 80, 100, 120]) {
      const outcome = channel.commit(commands).catch((cause: unknown) => cause);
      await sleep(wait);
      const killed = killLast();
      const cause = await outcome;
      if (cause !== undefined) expect(cause).toBeInstanceOf(CommandError);
      const count = (await elements()).length;
      expect(cause === undefined ? [10_000] : [0, 10_000]).toContain(count);
      await eventually('told of the end', () => channel.pid !== killed);
      expect(await channel.commit(['flush set inet routewall s'])).toBeUndefined();
    }
  });

  it('rejects what waits when it is stopped, and leaves no child', async () => {
    await channel.commit([add('v0')]);
    const pid = channel.pid ?? expect.unreachable();
    process.kill(pid, 'SIGSTOP');
    const rejected = expect(channel.commit([add('v1')])).rejects.toThrow(/stopped/);
    await eventually('written', async () => (await readFile(`${folder}/transaction.nft`, 'utf8')).includes('"v1"'));
    channel.stop();
    await rejected;
    await eventually('the child ends', () => !isAlive(pid));
  });

  it('says so when there is no nft', async () => {
    const lost = openNftChannel((_command, args) => startIn(namespace)('no-such-nft', args), folder);
    await expect(lost.commit(['add table inet routewall'])).rejects.toThrow(CommandError);
  });

  it('refuses a folder that nft would read as something else', () => {
    expect(() => openNftChannel(startIn(namespace), '/run/a"b')).toThrow(/can't include/);
    expect(() => openNftChannel(startIn(namespace), '/run/*')).toThrow(/can't include/);
  });
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe('the ip channel', () => {
  const links = ['link add name u type veth peer name up', 'link set dev u up', 'link set dev up up'];

  it('does the lines in order, and tells exactly those that failed', async () => {
    const channel = openIpChannel(startIn(namespace, children), () => true);
    expect(await channel.run(links)).toEqual([]);
    const lines = [
      'route replace 192.0.2.10/32 dev u proto 119 metric 4096',
      'route del 192.0.2.99/32 dev u proto 119 metric 4096',
      'neigh replace proxy 192.0.2.10 dev u protocol 119',
      'neigh replace proxy 192.0.2.11 dev gone protocol 119',
      'route replace 2001:db8::10/128 dev u proto 119 metric 4096',
      'nonsense',
      'neigh replace proxy 2001:db8::10 dev u protocol 119',
      'route del 192.0.2.99/32 dev u proto 119 metric 4096',
      'route replace 192.0.2.12/32 dev u proto 119 metric 4096',
      'route del 192.0.2.12/32 dev u proto 119 metric 4096',
    ];
    const failed = await channel.run(lines);
    // What a new ip was asked again comes last.
    expect(failed.map(({ line }) => line)).toEqual([lines[1], lines[5], lines[7], lines[3]]);
    expect(failed.map(({ message }) => message)).toEqual([
      expect.stringContaining('No such process'),
      expect.stringContaining('nonsense'),
      expect.stringContaining('No such process'),
      expect.stringContaining('Cannot find device "gone"'),
    ]);
    expect((await output('ip', '-4', 'route', 'show', 'proto', '119')).trim()).toBe(
      '192.0.2.10 dev u scope link metric 4096',
    );
    expect(await output('ip', '-6', 'route', 'show', 'proto', '119')).toContain('2001:db8::10 dev u metric 4096');
    expect((await output('ip', 'neigh', 'show', 'proxy')).trim().split('\n')).toHaveLength(2);
    channel.stop();
  });

  // iproute2 exits over an address that it can't read, whatever -force says; ours come from parsers.
  it('says that it knows nothing when ip gives up over a line, and goes on with another child', async () => {
    const channel = openIpChannel(startIn(namespace, children), () => true);
    await channel.run(links);
    await expect(channel.run(['route replace 192.0.2.300 dev u'])).rejects.toThrow(/192\.0\.2\.300/);
    expect(await channel.run(['route replace 192.0.2.10/32 dev u proto 119'])).toEqual([]);
    expect(children).toHaveLength(2);
    channel.stop();
  });

  // It exits over this one too.
  it('takes away what is left where one of the proxies is gone already', async () => {
    const channel = openIpChannel(startIn(namespace, children), () => true);
    await channel.run(links);
    const proxy = (verb: string, last: number) => `neigh ${verb} proxy 192.0.2.${last} dev u`;
    const route = 'route replace 192.0.2.10/32 dev u proto 119';
    await channel.run([1, 3].map((last) => proxy('add', last)));
    const lines = [...[1, 2, 3].map((last) => proxy('del', last)), route];
    // The first one too: it was done before ip went, and is gone when it is said again.
    const failed = await channel.run(lines);
    expect(failed.map(({ line }) => line)).toEqual(lines.slice(0, 2));
    for (const { message } of failed) expect(message).toContain('No such file or directory');
    expect(await output('ip', 'neigh', 'show', 'proxy')).toBe('');
    expect(await output('ip', 'route', 'show', 'proto', '119')).toContain('192.0.2.10');
    channel.stop();
  });

  it('counts on over many calls, with failures in each', async () => {
    const channel = openIpChannel(startIn(namespace, children), () => true);
    await channel.run(links);
    for (let round = 0; round < 200; round += 1) {
      const lines = [
        `route replace 198.51.100.${round}/32 dev u proto 119`,
        `route del 203.0.113.${round}/32`,
        `neigh replace proxy 192.0.2.${round} dev u protocol 119`,
      ];
      expect((await channel.run(lines)).map(({ line }) => line)).toEqual([lines[1]]);
    }
    expect(children).toHaveLength(1);
    expect((await output('ip', 'route', 'show', 'proto', '119')).trim().split('\n')).toHaveLength(200);
    channel.stop();
  });

  it('does ten thousand lines at once, and finds the one that failed', async () => {
    const channel = openIpChannel(startIn(namespace, children), () => true);
    await channel.run(links);
    const lines = Array.from(
      { length: 10_000 },
      (_, index) => `route replace 2001:db8::${index.toString(16)}/128 dev u proto 119`,
    );
    lines[4_321] = 'route del 203.0.113.1/32';
    expect((await channel.run(lines)).map(({ line }) => line)).toEqual([lines[4_321]]);
    expect((await output('ip', '-6', 'route', 'show', 'proto', '119')).trim().split('\n')).toHaveLength(9_999);
    channel.stop();
  });

  it('has another child at hand for an interface that is made anew under its name', async () => {
    const channel = openIpChannel(startIn(namespace, children), () => true);
    const begun: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      await output('ip', 'link', 'add', 'v', 'up', 'type', 'veth', 'peer', 'name', 'w');
      expect(await channel.run(['route replace 192.0.2.10/32 dev v proto 119'])).toEqual([]);
      begun.push(children.length);
      expect(await output('ip', 'route', 'show', 'proto', '119')).toContain('192.0.2.10 dev v');
      await output('ip', 'link', 'del', 'v');
      if (round > 0) await eventually('the next one is there', () => Promise.resolve(children.length === round + 2));
    }
    // The first one that fails has to wait for its start; the next is served by one that was there before.
    expect(begun).toEqual([1, 2, 3]);
    channel.stop();
  });

  it('asks no other child about an interface that is down', async () => {
    const channel = openIpChannel(startIn(namespace, children), () => true);
    await output('ip', 'link', 'add', 'v', 'type', 'veth', 'peer', 'name', 'w');
    const lines = ['192.0.2.10/32', '2001:db8::10/128'].map((prefix) => `route replace ${prefix} dev v proto 119`);
    expect((await channel.run(lines)).map(({ line }) => line)).toEqual(lines);
    await output('ip', 'link', 'set', 'v', 'up');
    expect(await channel.run(lines)).toEqual([]);
    expect(children).toHaveLength(1);
    channel.stop();
  });

  it('asks no other child about an interface that is gone', async () => {
    const channel = openIpChannel(startIn(namespace, children), (dev) => dev !== 'v');
    const lines = ['route replace 192.0.2.10/32 dev v proto 119', 'route replace 192.0.2.10/32 dev anew proto 119'];
    const failed = await channel.run(lines);
    expect(failed.map(({ line }) => line)).toEqual(lines);
    expect(children).toHaveLength(2);
    expect((await channel.run(lines.slice(0, 1))).map(({ line }) => line)).toEqual(lines.slice(0, 1));
    expect(children).toHaveLength(2);
    channel.stop();
  });

  it('starts anew after its child was killed', async () => {
    const channel = openIpChannel(startIn(namespace, children), () => true);
    await channel.run(links);
    killLast();
    await expect
      .poll(async () => channel.run(['route replace 192.0.2.10/32 dev u proto 119']).catch(() => 'unknown'))
      .toEqual([]);
    expect(children).toHaveLength(2);
    channel.stop();
  });
});
