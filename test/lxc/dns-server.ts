/** A DNS server of the test's own, in a namespace: its records are the test's to change at any time. */
import type { Child } from '../../sandbox/child.ts';
import type { Place } from '../../sandbox/place.ts';

/** Addresses, one alias (a text ending in a dot), or how the server fails. */
export type Zone = Readonly<Record<string, readonly string[] | 'SERVFAIL' | 'NXDOMAIN' | 'silent'>>;

export interface DnsServer {
  /** Replaces all records. */
  setZone(zone: Zone, ttl?: number): Promise<void>;
  /** How many questions there were, over UDP and TCP. */
  asked(): { readonly udp: number; readonly tcp: number };
  stop(): Promise<void>;
}

/** More answers than this don't fit into a datagram: the question comes again over TCP. */
const SERVER = `
import dgram from 'node:dgram';
import net from 'node:net';
import { createInterface } from 'node:readline';
let zone = {};
let ttl = 1;
const name = (text) => Buffer.concat([...text.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)])), Buffer.from([0])]);
const v6 = (text) => {
  const [head, tail = ''] = text.split('::');
  const groups = (part) => (part === '' ? [] : part.split(':').map((group) => parseInt(group, 16)));
  const [a, b] = [groups(head), groups(tail)];
  return Buffer.from([...a, ...Array(8 - a.length - b.length).fill(0), ...b].flatMap((group) => [group >> 8, group & 255]));
};
const record = (owner, type, data) => {
  const head = Buffer.alloc(10);
  head.writeUInt16BE(type, 0); head.writeUInt16BE(1, 2); head.writeUInt32BE(ttl, 4); head.writeUInt16BE(data.length, 8);
  return Buffer.concat([name(owner), head, data]);
};
function answers(owner, type) {
  const list = zone[owner] ?? [];
  return list.flatMap((text) => {
    if (text.endsWith('.')) return [record(owner, 5, name(text.slice(0, -1))), ...answers(text.slice(0, -1), type)];
    const six = text.includes(':');
    return six === (type === 28) ? [record(owner, type, six ? v6(text) : Buffer.from(text.split('.').map(Number)))] : [];
  });
}
function reply(message, most) {
  const labels = [];
  let at = 12;
  while (message[at] !== 0) { labels.push(message.toString('latin1', at + 1, at + 1 + message[at])); at += message[at] + 1; }
  const owner = labels.join('.').toLowerCase();
  const type = message.readUInt16BE(at + 1);
  const entry = zone[owner];
  if (entry === 'silent') return undefined;
  const rcode = entry === 'SERVFAIL' ? 2 : entry === 'NXDOMAIN' || entry === undefined ? 3 : 0;
  let list = rcode === 0 && (type === 1 || type === 28) ? answers(owner, type) : [];
  const size = list.reduce((sum, one) => sum + one.length, 0);
  const truncated = size > most;
  if (truncated) list = [];
  const head = Buffer.alloc(12);
  head.writeUInt16BE(message.readUInt16BE(0), 0);
  head.writeUInt16BE(0x8180 | rcode | (truncated ? 0x200 : 0), 2);
  head.writeUInt16BE(1, 4); head.writeUInt16BE(list.length, 6);
  return Buffer.concat([head, message.subarray(12, at + 5), ...list]);
}
const udp = dgram.createSocket('udp4');
udp.on('message', (message, { port, address }) => {
  console.log('udp');
  const text = reply(message, 450);
  if (text !== undefined) udp.send(text, port, address);
});
net.createServer((socket) => socket.on('error', () => undefined).on('data', (data) => {
  console.log('tcp');
  const text = reply(data.subarray(2), 60000);
  if (text === undefined) return;
  const length = Buffer.alloc(2);
  length.writeUInt16BE(text.length, 0);
  socket.write(Buffer.concat([length, text]));
})).listen(53, '192.0.2.2', () => udp.bind(53, '192.0.2.2', () => console.log('ready')));
for await (const line of createInterface({ input: process.stdin })) {
  const told = JSON.parse(line);
  zone = told.zone; ttl = told.ttl;
  console.log('zone');
}
`;

/** At 192.0.2.2, port 53: the host's neighbour on its uplink. */
export async function startDnsServer(place: Place): Promise<DnsServer> {
  const child: Child = place.spawn(process.execPath, ['--input-type=module', '-e', SERVER]);
  await child.waitForLine(/^ready$/, { timeout: 10_000 });
  const count = (word: string): number => child.lines.filter((line) => line === word).length;
  return {
    setZone: async (zone, ttl = 1) => {
      const after = child.lines.length;
      child.write(`${JSON.stringify({ zone, ttl })}\n`);
      await child.waitForLine(/^zone$/, { after, timeout: 10_000 });
    },
    asked: () => ({ udp: count('udp'), tcp: count('tcp') }),
    stop: async () => void (await child.stop()),
  };
}
