/** What a hostile or unlucky neighbour on the bus can't do to the daemon. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Child, startChild } from '../../sandbox/child.ts';
import { cleanUp, makeFolder } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { type Routewall, startRoutewall } from '../lxc/routewall.ts';
import { NAME, OBJECT, startBus, type TestBus } from './system-bus.ts';

let bus: TestBus;
let routewall: Routewall;

beforeAll(async () => {
  bus = await startBus();
  routewall = await startRoutewall({ env: bus.env });
  await routewall.daemon.waitForLog(/D-Bus: serving/);
});
afterAll(cleanUp);

const serves = async (): Promise<void> => {
  expect(JSON.parse(await bus.call('Status'))).toMatchObject({ pid: routewall.daemon.child().pid });
};

/**
 * Speaks D-Bus by hand, since no library sends what is wrong: one call of Explain with that signature and body.
 * Arguments: socket, signature, file with the body.
 */
const RAW_CALLER = `
my ($path, $signature, $file) = @ARGV;
socket(my $s, 1, 1, 0); connect($s, pack('Sa*', 1, $path)) or die "connect: $!";
$s->autoflush(1) if $s->can('autoflush');
syswrite($s, "\\0AUTH EXTERNAL " . unpack('H*', "$<") . "\\r\\n"); sysread($s, my $answer, 256); syswrite($s, "BEGIN\\r\\n");
my $serial = 0;
sub field { my ($code, $type, $value) = @_;
  return pack('C', $code) . "\\1$type\\0" . ($type eq 'g' ? pack('C', length $value) : pack('V', length $value)) . "$value\\0" }
sub message { my ($fields, $body) = @_; my $all = '';
  for my $each (@$fields) { $all .= "\\0" x (-length($all) % 8) . $each }
  my $head = pack('CCCCVVV', ord 'l', 1, 0, 1, length $body, ++$serial, length $all) . $all;
  return $head . "\\0" x (-length($head) % 8) . $body }
sub call { my ($to, $path, $member, $signature, $body) = @_;
  my @fields = (field(1, 'o', $path), field(2, 's', $to), field(3, 's', $member), field(6, 's', $to));
  push @fields, field(8, 'g', $signature) if $signature ne '';
  my $data = message(\\@fields, $body); my $at = 0;
  while ($at < length $data) { $at += syswrite($s, $data, 65536, $at) // die "write: $!" } }
call('org.freedesktop.DBus', '/org/freedesktop/DBus', 'Hello', '', '');
open(my $in, '<:raw', $file); local $/; my $body = <$in>;
call('${NAME}', '${OBJECT}', 'Explain', $signature, $body);
sleep 1;
`;

async function callRaw(signature: string, body: Buffer): Promise<void> {
  const file = join(await makeFolder(), 'body');
  await writeFile(file, body);
  const socket = bus.address.slice('unix:path='.length);
  const { stderr } = await bus.run(['perl', '-MIO::Handle', '-e', RAW_CALLER, socket, signature, file]);
  expect(stderr).toBe('');
}

test('a text of 10 MB is left out, and others are answered meanwhile', async () => {
  const mark = routewall.mark();
  const text = Buffer.alloc(10_000_000, 'x');
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  const calling = callRaw('s', Buffer.concat([length, text, Buffer.alloc(1)]));
  await routewall.daemon.child().waitForLine(/a message is left out: it has 100\d+ bytes/, { after: mark });
  await serves();
  await calling;
});

test('a million variants, which would cost a gigabyte to decode, are left out', async () => {
  const variant = Buffer.from([1, 0x79, 0, 7]);
  const body = Buffer.alloc(4 + 4_000_000, variant);
  body.writeUInt32LE(4_000_000, 0);
  variant.copy(body, 4);
  const mark = routewall.mark();
  for (let at = 4; at < body.length; at += 4) variant.copy(body, at);
  await callRaw('av', body);
  await routewall.daemon.child().waitForLine(/a message is left out: it has 4000\d+ bytes/, { after: mark });
  await serves();
});

test('a file descriptor that was never sent is no reason to end', async () => {
  const mark = routewall.mark();
  await callRaw('h', Buffer.alloc(4));
  // The bus may refuse it by itself; whoever it reaches must live.
  await serves();
  expect(
    routewall.daemon
      .child()
      .lines.slice(mark)
      .filter((line) => / error: /.test(line)),
  ).toEqual([]);
});

test('forty calls at once are answered or refused', async () => {
  const calls = Array.from({ length: 40 }, () =>
    bus.run(['busctl', '--auto-start=no', 'call', NAME, OBJECT, NAME, 'Preview', 'as', '0']),
  );
  const answers = await Promise.all(calls);
  expect(answers.filter(({ stdout, stderr }) => stdout === '' && !/too many/.test(stderr))).toEqual([]);
  await serves();
});

test('another program cannot play firewalld', async () => {
  const mark = routewall.mark();
  const status = JSON.parse(await bus.call('Status'));
  const send = ['--system', '--type=signal', `--dest=${NAME}`, '/org/fedoraproject/FirewallD1'] as const;
  await bus.run(['dbus-send', ...send, 'org.fedoraproject.FirewallD1.Reloaded']);
  await serves();
  expect(JSON.parse(await bus.call('Status')).enforcedAt).toBe(status.enforcedAt);
  expect(routewall.daemon.child().lines.slice(mark)).toEqual([]);
});

test('a bus that ends is waited for, and the daemon goes on without it', async () => {
  const mark = routewall.mark();
  await bus.stop();
  await routewall.daemon.child().waitForLine(/D-Bus: the connection ended.*going on without it/, { after: mark });
  expect((await routewall.cli('status')).stdout).toContain('running');
  await bus.start();
  await routewall.daemon.child().waitForLine(/D-Bus: serving/, { after: mark, timeout: 20_000 });
  await serves();
});

test('a name that is taken is said, and taken over when it is free', async () => {
  await routewall.daemon.stop();
  const holder = await holdName();
  await routewall.daemon.restart();
  await routewall.daemon.waitForLog(/D-Bus: the name .* can't be had: .* is taken by another process; going on/);
  await holder.stop();
  await routewall.daemon.waitForLog(/D-Bus: serving/, 20_000);
  await serves();
});

test('a daemon without any bus works, and says so once', async () => {
  const alone = await startRoutewall({ env: { DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/nonexistent/bus' } });
  await alone.daemon.waitForLog(/D-Bus: no connection: .*ENOENT.*; going on without it until it is there/);
  await eventually('status is written', async () => (await alone.cli('status')).exitCode === 0);
  await alone.daemon.stop();
  expect(alone.daemon.log().filter((line) => line.includes('D-Bus'))).toHaveLength(1);
});

async function holdName(): Promise<Child> {
  const script = `
    const dbus = require('dbus-next');
    const bus = dbus.systemBus();
    bus.requestName('${NAME}').then((reply) => console.log('reply ' + reply));`;
  const holder = startChild(process.execPath, ['-e', script], { env: bus.env, cwd: process.cwd() });
  await holder.waitForLine(/reply 1/);
  return holder;
}
