/** Announcements on a real wire: what tcpdump reads of them, and what scapy would have built. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openAnnouncer } from '../../controller/apply/announcer.ts';
import { type Resident, type Run, runOrThrow } from '../../controller/commands/run.ts';
import { parseAddress } from '../../render/address.ts';
import { renderAnnouncement } from '../../render/announcement.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { createNamespace, type Namespace } from '../../sandbox/namespace.ts';
import { interfaceName } from '../render/random-desired.ts';
import { runIn, startIn } from './namespace-commands.ts';

let namespace: Namespace;
let inside: Run;
let children: Resident[];

beforeEach(async () => {
  namespace = await createNamespace('announcer');
  inside = runIn(namespace);
  children = [];
});
afterEach(cleanUp);

const output = async (command: string, ...args: string[]): Promise<string> => runOrThrow(inside, command, args);

const mac = '02:00:00:00:00:77';
const announcer = () => ({ mac, linkLocal: address('fe80::77') });
const address = (text: string) => parseAddress(text) ?? expect.unreachable();

it('sends what tcpdump understands, with right checksums, through the interface that is named', async () => {
  await output('ip', 'link', 'add', 'name', 'a;b', 'type', 'veth', 'peer', 'name', 'far');
  for (const dev of ['a;b', 'far']) await output('ip', 'link', 'set', 'dev', dev, 'up');
  const capture = namespace.spawn('tcpdump', ['-i', 'far', '-n', '-e', '-vv', '-l', '--immediate-mode']);
  await capture.waitForLine(/listening on far/);
  const complaints: string[] = [];
  const sender = openAnnouncer(startIn(namespace, children), (message) => complaints.push(message));
  for (const text of ['192.0.2.10', '2001:db8::10']) {
    sender.send(interfaceName('a;b'), renderAnnouncement(address(text), announcer()) ?? expect.unreachable());
  }
  await capture.waitForLine(/neighbor advertisement.*2001:db8::10/);
  const said = capture.lines.join('\n');
  expect(said).toMatch(
    /02:00:00:00:00:77 > ff:ff:ff:ff:ff:ff, ethertype ARP.*Reply 192\.0\.2\.10 is-at 02:00:00:00:00:77/,
  );
  expect(said).toMatch(/02:00:00:00:00:77 > 33:33:00:00:00:01, ethertype IPv6.*hlim 255/);
  expect(said).toMatch(/fe80::77 > ff02::1: \[icmp6 sum ok\] ICMP6, neighbor advertisement/);
  expect(said).toMatch(/tgt is 2001:db8::10, Flags \[router, override\]/);
  expect(complaints).toEqual([]);
  sender.stop();
});

it('says what it could not send, and goes on', async () => {
  await output('ip', 'link', 'add', 'name', 'a', 'type', 'veth', 'peer', 'name', 'far');
  for (const dev of ['a', 'far']) await output('ip', 'link', 'set', 'dev', dev, 'up');
  const complaints: string[] = [];
  const sender = openAnnouncer(startIn(namespace, children), (message) => complaints.push(message));
  const frame = renderAnnouncement(address('192.0.2.10'), announcer()) ?? expect.unreachable();
  sender.send(interfaceName('gone'), frame);
  await eventually('complains', () => complaints.some((message) => message.includes('gone: No such device')));
  const capture = namespace.spawn('tcpdump', ['-i', 'far', '-n', '-l', '--immediate-mode', 'arp']);
  await capture.waitForLine(/listening on far/);
  sender.send(interfaceName('a'), frame);
  await capture.waitForLine(/Reply 192\.0\.2\.10 is-at/);
  process.kill(children.at(-1)?.pid ?? expect.unreachable(), 'SIGKILL');
  await eventually('tells of its end', () => complaints.length > 1);
  sender.send(interfaceName('a'), frame);
  await eventually('sends again', () => capture.lines.filter((line) => line.includes('is-at')).length === 2);
  sender.stop();
});

it('builds the very frames that scapy builds', async () => {
  const program = `
from scapy.all import *
arp = Ether(src='${mac}', dst='ff:ff:ff:ff:ff:ff')/ARP(op=2, hwsrc='${mac}', psrc='192.0.2.10', hwdst='ff:ff:ff:ff:ff:ff', pdst='192.0.2.10')
na = Ether(src='${mac}', dst='33:33:00:00:00:01')/IPv6(src='fe80::77', dst='ff02::1', hlim=255)/ICMPv6ND_NA(tgt='2001:db8::10', R=1, S=0, O=1)/ICMPv6NDOptDstLLAddr(lladdr='${mac}')
print(raw(arp).hex()); print(raw(na).hex())`;
  const frames = ['192.0.2.10', '2001:db8::10'].map((text) =>
    Buffer.from(renderAnnouncement(address(text), announcer()) ?? []).toString('hex'),
  );
  expect((await output('/usr/bin/python3', '-c', program)).trim().split('\n')).toEqual(frames);
});
