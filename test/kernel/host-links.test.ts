/** The host's links, read by name as the kernel tells of them, are those that a reading of all finds. */
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { patiently } from '../../controller/commands/reading.ts';
import type { Run } from '../../controller/commands/run.ts';
import { type Attached, HostLinks, type HostLinksOptions } from '../../controller/host/host-links.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { createNamespace, type Namespace } from '../../sandbox/namespace.ts';
import { runIn } from './namespace-commands.ts';

let host: Namespace;
/** What was run. */
let commands: string[];
let run: Run;

const ip = async (...lines: string[]): Promise<void> =>
  void (await host.run('ip', ['-batch', '-'], { input: lines.map((line) => `${line}\n`).join('') }));

const linksOf = (options: Partial<HostLinksOptions> = {}): HostLinks =>
  new HostLinks({ run: (...words) => run(...words), isVeth: () => false, attached: () => undefined, ...options });

const ALL = ['ip -j link show', 'addresses'];

const readNamed = (links: HostLinks, ...names: string[]): Promise<boolean> => links.read(new Set(names), patiently);

const allOf = async (options?: Partial<HostLinksOptions>): Promise<HostLinks> => {
  const links = linksOf(options);
  await links.read('all', patiently);
  commands.length = 0;
  return links;
};

beforeEach(async () => {
  host = await createNamespace('host');
  commands = [];
  run = (command, args, options) => {
    commands.push(command === 'perl' ? 'addresses' : [command, ...args].join(' '));
    return runIn(host)(command, args, options);
  };
  await ip(
    'link add eth0 type veth peer name far0',
    'link add eth1 type veth peer name far1',
    'link add br0 type bridge',
  );
});
afterEach(cleanUp);

it('asks for those that changed, and for all where these are many or none is known', async () => {
  const links = linksOf();
  expect(await readNamed(links, 'eth0')).toBe(true);
  expect(commands).toEqual(ALL);
  commands.length = 0;
  await ip('address add 192.0.2.2/24 dev eth0');
  expect(await readNamed(links, 'eth0')).toBe(false);
  expect(commands).toEqual(['ip -j address show dev eth0']);
  expect(links.all).toEqual((await allOf()).all);
  const { all } = links;
  await readNamed(links, 'eth0', 'absent');
  expect(links.all).toBe(all);
  commands.length = 0;
  expect(await readNamed(links, ...Array.from({ length: 9 }, (_, index) => `veth${index}`))).toBe(true);
  expect(commands).toEqual(ALL);
});

it("are what was known where ip fails or isn't waited for", async () => {
  const links = await allOf();
  const { all } = links;
  await ip('address add 192.0.2.2/24 dev eth0');
  expect(await links.read(new Set(['eth0']), async () => undefined)).toBe(false);
  expect(links.all).toBe(all);
  run = async () => ({ stdout: '', stderr: 'Cannot send dump request: No buffer space', exitCode: 1 });
  await expect(readNamed(links, 'eth0')).rejects.toThrow('No buffer space');
  expect(links.all).toBe(all);
  await expect(readNamed(linksOf(), 'eth0')).rejects.toThrow('No buffer space');
});

it("asks for no container's veth without bridges, and takes in of it what concerns those on bridges", async () => {
  const veths = { isVeth: (name: string) => name.startsWith('far') };
  const plain = await allOf(veths);
  await readNamed(plain, 'far0');
  expect(commands).toEqual([]);

  await ip('link set far0 address 02:16:3e:00:00:01', 'link add br9 type bridge');
  const attached: Attached = { bridges: new Set(['br0']), macs: new Set(['02:16:3e:00:00:02']) };
  const links = await allOf({ ...veths, attached: () => attached });
  const { all } = links;
  const far = () => links.all.find(({ name }) => name === 'far0');
  await ip('link set far0 master br0');
  await readNamed(links, 'far0');
  expect(links.all).toBe(all);
  await ip('link set far0 master br9');
  await readNamed(links, 'far0');
  expect(far()?.master).toBe('br9');
  await ip('link set far0 nomaster');
  await readNamed(links, 'far0');
  expect(far()).not.toHaveProperty('master');
  await ip('link set far0 address 02:16:3e:00:00:02');
  await readNamed(links, 'far0');
  expect(far()?.mac).toBe('02:16:3e:00:00:02');
  await ip('link del far0');
  await readNamed(links, 'far0');
  expect(far()).toBeUndefined();
});

const NAMES = ['eth0', 'eth1', 'far0', 'far1', 'new0', 'new1'];
const name = fc.constantFrom(...NAMES);
/** Lines for ip, some of which it refuses, and the links that they may change. */
const change = fc.oneof(
  name.map((one) => [`address add 192.0.2.${NAMES.indexOf(one)}/24 dev ${one}`, one]),
  name.map((one) => [`address flush dev ${one}`, one]),
  fc.tuple(name, name).map(([from, to]) => [`link set ${from} name ${to}`, from, to]),
  name.map((one) => [`link set ${one} master br0`, one, 'br0']),
  name.map((one) => [`link set ${one} nomaster`, one, 'br0']),
  name.map((one) => [`link set ${one} address 02:16:3e:00:00:1${NAMES.indexOf(one)}`, one, 'br0']),
  name.map((one) => [`link del ${one}`, ...NAMES, 'br0']),
  fc.constant(['link add new0 type veth peer name new1', 'new0', 'new1']),
);

it('comes to the same whatever changed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(change, { minLength: 1, maxLength: 3 }), { maxLength: 6 }), async (rounds) => {
      const links = await allOf();
      for (const changes of rounds) {
        await host.runForResult('ip', ['-force', '-batch', '-'], {
          input: changes.map(([line]) => `${line}\n`).join(''),
        });
        await readNamed(links, ...changes.flatMap(([, ...names]) => names));
        const whole = await allOf();
        const byName = (one: HostLinks) => [...one.all].sort((a, b) => (a.name < b.name ? -1 : 1));
        expect(byName(links)).toEqual(byName(whole));
      }
    }),
    { numRuns: 15 },
  );
});
