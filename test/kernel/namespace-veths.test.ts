/** The veths that lead into a namespace are those that the host's own list says, whatever a root inside makes there. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readMacsInside, readVethsInto } from '../../controller/host/namespace-veths.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { createNamespace, type Namespace } from '../../sandbox/namespace.ts';
import { runIn } from './namespace-commands.ts';

let host: Namespace;
let web: Namespace;
let mail: Namespace;
let nested: Namespace;
let pids: { readonly web: number; readonly mail: number; readonly nested: number; readonly host: number };

const pidIn = (namespace: Namespace): number => namespace.spawn('sleep', ['600']).pid;
const ip = async (where: Namespace, ...lines: string[]): Promise<void> =>
  void (await where.run('ip', ['-batch', '-'], { input: lines.map((line) => `${line}\n`).join('') }));
const read = (by: { process: number } | { veth: string }) => readVethsInto(runIn(host), by);

beforeEach(async () => {
  host = await createNamespace('host');
  [web, mail, nested] = [await createNamespace('web'), await createNamespace('mail'), await createNamespace('nested')];
  pids = { web: pidIn(web), mail: pidIn(mail), nested: pidIn(nested), host: pidIn(host) };
  await ip(
    host,
    'link add inner1 type veth peer name inner2',
    // The later by its name, and as the kernel numbers it, is the first.
    `link add zz index 501 type veth peer name eth0 index 901 netns ${pids.web}`,
    `link add a"b'c index 500 type veth peer name eth1 index 900 netns ${pids.web}`,
    `link add vmail index 600 type veth peer name eth0 index 600 netns ${pids.mail}`,
  );
});
afterEach(cleanUp);

it('are told in the order of their numbers, by a process there and by one of them', async () => {
  const both = [`a"b'c`, 'zz'];
  expect(await read({ process: pids.web })).toEqual(both);
  expect(await read({ veth: 'zz' })).toEqual(both);
  // Its two ends have the same number.
  expect(await read({ process: pids.mail })).toEqual(['vmail']);
  await host.run('ip', ['link', 'del', 'zz']);
  expect(await read({ process: pids.web })).toEqual([`a"b'c`]);
});

it('are none where nobody listens on a socket of that name', async () => {
  const program =
    'socket(my $s, 1, 1, 0); bind($s, pack "Sa*", 1, "\\0$ARGV[0]"); listen $s, 0; print "on\\n"; sleep 600';
  const name = `/var/lib/lxc/a"b'c é/command`;
  const listener = host.spawn('perl', ['-e', `$| = 1; ${program}`, name]);
  await listener.waitForLine(/on/);
  const readIf = (...sockets: string[]) => readVethsInto(runIn(host), { process: pids.mail }, sockets);
  // More than may wait there: nobody takes them.
  for (let time = 0; time < 4; time += 1) expect(await readIf('nobody', name)).toEqual(['vmail']);
  expect(await readIf('nobody', name.slice(0, -1))).toBeUndefined();
  await listener.stop('SIGKILL');
  expect(await readIf(name)).toBeUndefined();
});

it('are none where nothing of the host leads there, or both ends are here', async () => {
  // Asked about a container before, the kernel has a number of the host's own namespace too.
  await read({ process: pids.web });
  const nobody = [{ process: pids.nested }, { process: pids.host }, { process: 4_000_000 }];
  for (const by of [...nobody, { veth: 'inner1' }, { veth: 'lo' }, { veth: 'gone' }])
    expect([by, await read(by)]).toEqual([by, undefined]);
  await host.run('ip', ['link', 'del', 'vmail']);
  expect(await read({ process: pids.mail })).toEqual([]);
});

it("are not others' whose numbers the ends of veths have that are made inside", async () => {
  const before = await read({ process: pids.web });
  // Of whom they are: another container's, its own, both ends within the host, and nobody's.
  const { stdout } = await host.run('ip', ['-o', 'link', 'show', 'inner1']);
  const numbers = [600, 500, 501, Number.parseInt(stdout, 10), 700];
  await ip(
    web,
    ...numbers.map(
      (far, at) => `link add n${at} index ${3 + at} type veth peer name m${at} index ${far} netns ${pids.nested}`,
    ),
  );
  expect(await read({ process: pids.web })).toEqual(before);
  expect(await read({ process: pids.mail })).toEqual(['vmail']);
});

it('are found while others come and go inside, and among hundreds', async () => {
  const before = await read({ process: pids.web });
  web.spawn('sh', ['-c', 'while :; do ip link add c1 type veth peer name c2; ip link del c1; done']);
  for (let look = 0; look < 20; look += 1) expect(await read({ process: pids.web })).toEqual(before);
  await ip(web, ...Array.from({ length: 150 }, (_, at) => `link add n${at} type veth peer name m${at}`));
  for (let look = 0; look < 5; look += 1) expect(await read({ process: pids.web })).toEqual(before);
});

it('have their hardware addresses told, whatever else is inside', async () => {
  const macs = async (pid: number) => Object.fromEntries(await readMacsInside(runIn(host), pid));
  await ip(web, 'link set eth0 address 02:00:00:00:00:01', 'link set eth1 address 02:00:00:00:00:02');
  await ip(web, 'link set eth0 name other', 'link add n index 3 type veth peer name m index 501');
  const both = { zz: '02:00:00:00:00:01', [`a"b'c`]: '02:00:00:00:00:02' };
  expect(await macs(pids.web)).toEqual(both);
  for (const nobody of [pids.nested, pids.host, 4_000_000]) expect(await macs(nobody)).toEqual({});
  await ip(web, `link set other netns ${pids.nested}`);
  expect(await macs(pids.web)).toEqual({ [`a"b'c`]: '02:00:00:00:00:02' });
});

it('are not those that root inside moved on', async () => {
  await ip(web, `link set eth0 netns ${pids.nested}`);
  expect(await read({ process: pids.web })).toEqual([`a"b'c`]);
});
