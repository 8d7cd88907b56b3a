/** `routewall denials` tells what real containers are refused: by name, live, and without a daemon. */
import { afterEach, expect, it } from 'vitest';
import type { Child } from '../../sandbox/child.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { probe } from '../../sandbox/services.ts';
import { addressesOf, nic, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const POLICY = 'egress:\n  rules:\n    - allow: ssh\n      to: host\n';

async function startTwo() {
  const rw = await startRoutewall({});
  const web = await rw.addContainer('web', { lines: nic(addressesOf(20)), policy: POLICY });
  const db = await rw.addContainer('db', { lines: nic(addressesOf(30)), policy: POLICY });
  await Promise.all([rw.start(web), rw.start(db)]);
  return { rw, web, inside: await web.inside(), other: await db.inside() };
}

interface Row {
  readonly container: string;
  readonly direction: string;
  readonly peerName: string | null;
  readonly peer: string;
  readonly service: string;
  readonly serviceName: string | null;
  readonly packets: number;
}

async function denials(rw: Routewall, ...words: readonly string[]): Promise<string[]> {
  const { stdout } = await rw.cli('denials', '--json', ...words);
  const rows: Row[] = JSON.parse(stdout);
  return rows
    .filter(({ peer }) => !peer.startsWith('fe80:') && !peer.startsWith('ff02:'))
    .map(({ container, direction, peer, peerName, service, serviceName }) =>
      [container, direction, peerName ?? peer, service, serviceName].join(' '),
    )
    .sort();
}

it('names container, peer and service of each refusal, also while no daemon runs', async () => {
  const { rw, inside, other } = await startTwo();
  await rw.daemon.stop('SIGKILL');
  await probe(inside, { protocol: 'tcp', to: '192.0.2.1', port: 80 });
  await probe(inside, { protocol: 'icmp', to: '2001:db8:ffff::80' });
  await probe(other, { protocol: 'udp', to: '203.0.113.80', port: 53 });
  await probe(rw.bed.host, { protocol: 'tcp', to: '198.51.100.20', port: 5432 });
  expect(await denials(rw)).toEqual([
    'db egress 203.0.113.80 udp/53 dns',
    'web egress 2001:db8:ffff::80 icmp6/echo-request ping',
    'web egress host tcp/80 http',
    'web ingress host tcp/5432 postgresql',
  ]);
  expect(await denials(rw, '-n', 'db')).toEqual(['db egress 203.0.113.80 udp/53 dns']);
  const { stdout, stderr } = await rw.cli('denials', '--sort', 'packets', '--limit', '2');
  expect(stdout).toMatch(/^CONTAINER +DIRECTION +PEER +SERVICE +BY +PACKETS +LAST SEEN\n/);
  expect(stdout.split('\n')).toHaveLength(3);
  expect(stderr).toMatch(/^and \d+ more: --limit \d+$/);
});

function follow(rw: Routewall): Child {
  const [program, ...words] = rw.command(['denials', '--follow']);
  return rw.bed.host.spawn(program, words, { env: rw.env });
}

it('--follow prints what comes, also of a container that starts meanwhile, and ends clean by Ctrl-C', async () => {
  const { rw, web, inside } = await startTwo();
  await probe(inside, { protocol: 'tcp', to: '203.0.113.80', port: 81 });
  const child = follow(rw);
  await child.waitForLine(/waiting/);
  await probe(inside, { protocol: 'tcp', to: '203.0.113.80', port: 82 });
  await child.waitForLine(
    /^\d\d:\d\d:\d\d {2}web {2}egress {2}203\.0\.113\.80 {2}tcp\/82 {2}default: drop {2}\d packets?$/,
  );
  await rw.stop(web);
  await rw.start(web);
  await probe(await web.inside(), { protocol: 'udp', to: '203.0.113.80', port: 83 });
  await child.waitForLine(/ {2}web {2}egress {2}203\.0\.113\.80 {2}udp\/83 /);
  expect(child.lines.filter((line) => line.includes('tcp/81'))).toEqual([]);
  expect(await child.stop('SIGINT')).toMatchObject({ exitCode: 0 });
});

it('--follow tells nothing twice, though two kinds of packets go by one name', async () => {
  const { rw, inside } = await startTwo();
  const ping = `import socket, struct
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
for code in [0, 0, 0, 1]: raw.sendto(struct.pack("!BBHI", 8, code, 0xf7ff - code, 0), ("203.0.113.80", 0))
`;
  await inside.run('/usr/bin/python3', ['-'], { input: ping });
  expect(await denials(rw)).toEqual(Array(2).fill('web egress 203.0.113.80 icmp4/echo-request ping'));
  const child = follow(rw);
  await child.waitForLine(/waiting/);
  for (const port of [82, 83]) {
    await probe(inside, { protocol: 'tcp', to: '203.0.113.80', port });
    await child.waitForLine(new RegExp(` {2}tcp/${port} `));
  }
  expect(child.lines.filter((line) => line.includes('echo-request'))).toEqual([]);
  await inside.run('/usr/bin/python3', ['-'], { input: ping });
  await child.waitForLine(/ {2}icmp4\/echo-request \(ping\) {2}default: drop {2}3 packets$/);
  await child.waitForLine(/ {2}icmp4\/echo-request \(ping\) {2}default: drop {2}1 packet$/);
});

it("one that tries every port hides nobody's refusals but its own", async () => {
  const { rw, inside, other } = await startTwo();
  const flood = `import socket
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in range(1, 65536): udp.sendto(b"x", ("203.0.113.80", port))
`;
  await inside.run('/usr/bin/python3', ['-'], { input: flood });
  await probe(other, { protocol: 'udp', to: '203.0.113.80', port: 53 });
  expect(await denials(rw, '-n', 'db')).toEqual(['db egress 203.0.113.80 udp/53 dns']);
  expect((await denials(rw, '-n', 'web', '--limit', '9999')).length).toBeGreaterThanOrEqual(1000);
});

it('a stop clears what was counted for the interface that goes', async () => {
  const { rw, web, inside } = await startTwo();
  await probe(inside, { protocol: 'tcp', to: '203.0.113.80', port: 81 });
  expect(await denials(rw, '-n', 'web')).toEqual(['web egress 203.0.113.80 tcp/81 ']);
  await rw.stop(web);
  await eventually('the set is empty of it', async () => {
    const { stdout } = await rw.bed.host.run('nft', ['list', 'set', 'inet', 'routewall', 'refused_egress4']);
    return !stdout.includes('203.0.113.80');
  });
});

it('names lines of the policy in force, and says where the file as it is saved has others', async () => {
  const rw = await startRoutewall({ config: 'autoApply: false\n' });
  const policy = 'egress:\n  rules:\n    - drop: tcp/81\n      to: any\n';
  const web = await rw.addContainer('web', { lines: nic(addressesOf(20)), policy });
  await rw.cli('apply');
  await rw.start(web);
  await probe(await web.inside(), { protocol: 'tcp', to: '203.0.113.80', port: 81 });
  const told = async () => {
    const { stdout, stderr } = await rw.cli('denials');
    return [/tcp\/81 +(\S+) /.exec(stdout)?.[1], stderr];
  };
  expect(await told()).toEqual(['web.yaml:3', '']);
  const shifted = `# what it may do\n\n${policy}`;
  await rw.writePolicy('containers/web.yaml', shifted);
  const waits = 'containers/web.yaml differs from what is in force and waits for routewall apply';
  await rw.statusTells(new RegExp(waits));
  expect(await told()).toEqual(['web.yaml:3', `lines are those of what is in force: ${waits}`]);
  await rw.cli('apply');
  expect(await told()).toEqual(['web.yaml:5', '']);
  await rw.writePolicy('containers/web.yaml', `\n${shifted}nonsense: {}\n`);
  await rw.cli('apply');
  expect(await told()).toEqual([
    'web.yaml:5',
    'containers/web.yaml: has errors; lines are those of the last good policy',
  ]);
});
