/** A tightened policy ends the live connections that it no longer allows, and only those. */
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { INTERNET } from '../../sandbox/host.ts';
import type { Place } from '../../sandbox/place.ts';
import { type Flow, listen, openFlow, probe } from '../../sandbox/services.ts';
import { addressesOf, nic, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const [WEB4, WEB6] = addressesOf(20);
const [OUTSIDE4] = INTERNET;

/** Everything out, so that only the policy for what comes in can end what others opened. */
const policy = (...clients: readonly string[]): string => `
egress:
  default: allow
ingress:
  rules:
    - allow: [tcp/80, udp/53]
      from: [${clients.map((client) => `"${client}"`).join(', ')}]
`;

const outOnly = (...ports: readonly string[]): string => `
egress:
  rules:
    - allow: [${ports.join(', ')}]
      to: any
`;

async function startWeb(text: string): Promise<{ readonly routewall: Routewall; readonly web: Place }> {
  const routewall = await startRoutewall({ policies: { 'containers/web.yaml': text } });
  const container = await routewall.addContainer('web', { lines: nic(addressesOf(20)) });
  await routewall.start(container);
  const web = await container.inside();
  await listen(web, { protocol: 'tcp', port: 80 }, { protocol: 'udp', port: 53 });
  const ports = [80, 443].map((port) => ({ protocol: 'tcp' as const, port }));
  await listen(routewall.bed.outside, ...ports, { protocol: 'udp', port: 53 });
  return { routewall, web };
}

/** A cut connection may live for some beats until the new rules and the clean-up are through. */
const isCut = (flow: Flow): Promise<void> =>
  eventually('the connection is cut', async () => (await flow.beat(300)) !== 'alive', 10_000).then(() => undefined);

it('ends what the new rules refuse to come in, though the container itself may send anywhere', async () => {
  const { routewall } = await startWeb(policy('203.0.113.0/24', '192.0.2.2', '2001:db8:ffff::/64'));
  const { outside } = routewall.bed;
  const to = { to: WEB4, port: 80, protocol: 'tcp' as const };
  // The very first neighbour solicitation may come before the container hears it.
  const first = { ...to, to: WEB6, source: INTERNET[1], timeout: 5_000 };
  expect(await probe(outside, first)).toBe('allowed');
  const [forbidden, allowed, six, datagrams] = await Promise.all([
    openFlow(outside, { ...to, source: OUTSIDE4 }),
    openFlow(outside, { ...to, source: '192.0.2.2' }),
    openFlow(outside, { ...to, to: WEB6, source: INTERNET[1] }),
    openFlow(outside, { protocol: 'udp', to: WEB4, port: 53, source: OUTSIDE4 }),
  ]);
  for (const flow of [forbidden, allowed, six, datagrams]) expect(await flow.beat()).toBe('alive');
  await routewall.writePolicy('containers/web.yaml', policy('192.0.2.2'));
  await Promise.all([isCut(forbidden), isCut(six), isCut(datagrams)]);
  expect(await allowed.beat()).toBe('alive');
  // What was cut stays so, also when the server's end goes on sending.
  for (const flow of [forbidden, six]) expect(await flow.beat(300)).not.toBe('alive');
});

it('ends what an answer begins that was on its way when its flow was cut', async () => {
  const { routewall, web } = await startWeb(policy('203.0.113.0/24'));
  const { outside, host } = routewall.bed;
  await listen(web, { protocol: 'udp', port: 54, delay: 1_500 });
  const mark = routewall.mark();
  await routewall.writePolicy('containers/web.yaml', policy('203.0.113.0/24').replace('udp/53', 'udp/54'));
  await routewall.enforced('web', { after: mark });
  const patient = { protocol: 'udp', port: 54, timeout: 5_000 } as const;
  const flow = await openFlow(outside, { ...patient, to: WEB4, source: OUTSIDE4 });
  const answered = flow.beat(5_000);
  await routewall.writePolicy('containers/web.yaml', policy('192.0.2.2'));
  // What the container sends is allowed, and was asked for in time.
  expect(await answered).toBe('alive');
  const begun = ['-L', '-p', 'udp', '--orig-src', WEB4, '--orig-port-src', '54', '--reply-dst', WEB4];
  await eventually('it is ended', async () => (await host.run('conntrack', begun)).stdout === '', 15_000);
  expect(await flow.beat(3_000)).not.toBe('alive');
});

/** Sends each 2 ms to whoever sent first, and tells for each 100 ms in which it heard somebody. */
const STREAM = `use strict; use Socket qw(:DEFAULT inet_pton); $| = 1;
my ($own, $port) = @ARGV;
my $six = $own =~ /:/;
socket(my $socket, $six ? AF_INET6 : AF_INET, SOCK_DGRAM, 0) or die $!;
bind($socket, $six ? pack_sockaddr_in6($port, inet_pton(AF_INET6, $own)) : pack_sockaddr_in($port, inet_aton($own))) or die $!;
print "ready\\n";
my $to = recv($socket, my $data, 99, 0);
for (my $count = 1; ; $count++) {
  send($socket, 'x', 0, $to);
  select undef, undef, undef, 0.002;
  next if $count % 50;
  my $heard = 0;
  $heard++ while defined recv($socket, $data, 99, 64);
  print $heard ? "heard\\n" : "silence\\n";
}`;

/** Sends each 5 ms, whether it is answered or not. */
const CLIENT = `use strict; use Socket qw(:DEFAULT inet_pton);
my ($own, $to, $port) = @ARGV;
my $six = $own =~ /:/;
sub at { my ($port, $address) = @_; $six ? pack_sockaddr_in6($port, inet_pton(AF_INET6, $address)) : pack_sockaddr_in($port, inet_aton($address)) }
socket(my $socket, $six ? AF_INET6 : AF_INET, SOCK_DGRAM, 0) or die $!;
bind($socket, at(4000, $own)) or die $!;
while (1) { send($socket, 'x', 0, at($port, $to)); select undef, undef, undef, 0.005 }`;

it.each([
  [WEB4, OUTSIDE4],
  [WEB6, INTERNET[1]],
])('ends what a server that never pauses begins, and lets its client in when it may again: %s', async (own, client) => {
  const open = policy('203.0.113.0/24', '2001:db8:ffff::/64');
  const { routewall, web } = await startWeb(open.replace('udp/53', 'udp/54'));
  const server = web.spawn('perl', ['-e', STREAM, own, '54']);
  await server.waitForLine(/ready/);
  routewall.bed.outside.spawn('perl', ['-e', CLIENT, client, own, '54']);
  await server.waitForLine(/heard/);
  await routewall.writePolicy('containers/web.yaml', policy('192.0.2.2'));
  const lately = () => server.lines.slice(-10);
  await eventually('nobody is heard', () => lately().every((line) => line === 'silence'), 15_000);
  // What is sent is allowed, and goes on; an answer to it comes no more.
  await sleep(10_000);
  expect(lately()).not.toContain('heard');
  const opened = server.lines.length;
  await routewall.writePolicy('containers/web.yaml', open.replace('udp/53', 'udp/54'));
  await server.waitForLine(/heard/, { after: opened });
});

it('ends what the container may no longer send, and leaves the rest of its connections alone', async () => {
  const { routewall, web } = await startWeb(outOnly('tcp/80', 'tcp/443'));
  const flows = await Promise.all([80, 443].map((port) => openFlow(web, { protocol: 'tcp', to: OUTSIDE4, port })));
  const [stays, ends] = flows;
  if (stays === undefined || ends === undefined) throw new Error('two flows were opened');
  await routewall.writePolicy('containers/web.yaml', outOnly('tcp/80'));
  await isCut(ends);
  expect(await stays.beat()).toBe('alive');
});

it('ends at its start what was tightened while no daemon ran', async () => {
  const { routewall, web } = await startWeb(outOnly('tcp/80', 'tcp/443'));
  const stays = await openFlow(web, { protocol: 'tcp', to: OUTSIDE4, port: 80 });
  const ends = await openFlow(web, { protocol: 'tcp', to: OUTSIDE4, port: 443 });
  await routewall.daemon.stop('SIGKILL');
  await routewall.writePolicy('containers/web.yaml', outOnly('tcp/80'));
  expect(await ends.beat()).toBe('alive');
  await routewall.daemon.restart();
  await isCut(ends);
  expect(await stays.beat()).toBe('alive');
});

it('lets a session live through a hundred new policies that allow it, and ends it with the first that does not', async () => {
  const { routewall, web } = await startWeb(policy('203.0.113.0/24'));
  const allows = (...ports: readonly string[]): string =>
    `${policy('203.0.113.0/24')}    - allow: [${ports.join(', ')}]\n      from: any\n`;
  await listen(web, { protocol: 'tcp', port: 22 });
  let mark = routewall.mark();
  const write = async (text: string): Promise<void> => {
    // Whole: half a policy would be one more, and tighter.
    await routewall.writePolicy('.web.yaml', text);
    await rename(join(routewall.policyFolder, '.web.yaml'), join(routewall.policyFolder, 'containers/web.yaml'));
    await routewall.enforced('web', { after: mark });
    mark = routewall.mark();
  };
  await write(allows('tcp/22'));
  const session = await openFlow(routewall.bed.outside, { protocol: 'tcp', to: WEB4, port: 22, source: OUTSIDE4 });
  for (let round = 1; round <= 100; round += 1) {
    await write(allows('tcp/22', `tcp/${1000 + round}`));
    if (round % 10 === 0) expect(await session.beat()).toBe('alive');
  }
  const { stdout } = await routewall.bed.host.run('conntrack', ['-L', '-p', 'tcp', '--orig-dst', WEB4]);
  expect(stdout).toMatch(/ESTABLISHED .*dport=22/);
  await write(allows('tcp/1101'));
  await isCut(session);
});

it('judges what was redirected by where it leads, whatever address it was sent to', async () => {
  const { routewall, web } = await startWeb(policy('203.0.113.0/24'));
  await listen(web, { protocol: 'tcp', port: 443 });
  await routewall.writePolicy('containers/web.yaml', policy('203.0.113.0/24').replace('tcp/80', 'tcp/80, tcp/443'));
  const { host, outside } = routewall.bed;
  await host.run('nft', [
    `table ip forwarded { chain prerouting { type nat hook prerouting priority dstnat; ip daddr 192.0.2.1 tcp dport { 8080, 8443 } dnat to ${WEB4} : tcp dport map { 8080 : 80, 8443 : 443 }; }; }`,
  ]);
  const to = { protocol: 'tcp', to: '192.0.2.1', source: OUTSIDE4 } as const;
  await eventually('both are open', async () => (await probe(outside, { ...to, port: 8443 })) === 'allowed', 10_000);
  const [stays, ends] = await Promise.all([8080, 8443].map((port) => openFlow(outside, { ...to, port })));
  if (stays === undefined || ends === undefined) throw new Error('two flows were opened');
  await routewall.writePolicy('containers/web.yaml', policy('203.0.113.0/24'));
  await isCut(ends);
  expect(await stays.beat()).toBe('alive');
});

it('hands an address to another container only without the connections of the one before', async () => {
  const { routewall } = await startWeb(policy('203.0.113.0/24'));
  const { outside, host } = routewall.bed;
  const heir = await routewall.addContainer('heir', {
    lines: nic(addressesOf(20)),
    policy: 'egress: { default: allow }\n',
  });
  await heir.start();
  await listen(await heir.inside(), { protocol: 'udp', port: 53 });
  const flow = await openFlow(outside, { protocol: 'udp', to: WEB4, port: 53, source: OUTSIDE4 });
  const mark = routewall.mark();
  let said = 'alive';
  const isHeirs = routewall.enforced('heir', { after: mark });
  await host.run('lxc-stop', ['-P', routewall.bed.lxcPath, '-n', 'web', '-k']);
  // Sends all the time: an entry that outlives its container would lead to the heir at once.
  let over = false;
  void isHeirs.then(() => {
    over = true;
  });
  while (!over) await flow.beat(20);
  for (let beat = 0; beat < 5; beat += 1) said = await flow.beat(100);
  expect(said).not.toBe('alive');
  const { stdout } = await host.run('conntrack', ['-L', '-p', 'udp', '--orig-dst', WEB4]);
  // One that nobody answered is of what was sent while nobody had the address, and opens nothing.
  expect(stdout.split('\n').filter((line) => line !== '' && !line.includes('[UNREPLIED]'))).toEqual([]);
  // The control: it is served, where its own policy allows it.
  await routewall.writePolicy('containers/heir.yaml', policy('203.0.113.0/24'));
  const again = { protocol: 'udp', to: WEB4, port: 53, source: OUTSIDE4 } as const;
  await eventually('the heir answers', async () => (await probe(outside, again)) === 'allowed', 10_000);
});
