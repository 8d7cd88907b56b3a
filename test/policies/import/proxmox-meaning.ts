/** What Proxmox does with a guest's packet, from its manual; it shares nothing with the import but the files. */
import { type Family, parseRange } from '../../../render/address.ts';
import { address, inside } from '../packets.ts';
import { type ForeignPacket, familyIn, type Verdict } from './foreign-packet.ts';

interface Sections {
  readonly [section: string]: readonly string[];
}

const sectionsOf = (text: string): Sections => {
  const sections: Record<string, string[]> = {};
  let current: string[] = [];
  for (const line of text.split('\n').map((raw) => raw.replace(/#.*/, '').trim())) {
    const header = /^\[\s*(\w+)\s*(\S*?)\s*\]/.exec(line);
    if (header !== null) {
      current = [];
      sections[`${header[1]} ${header[2]}`.trim().toLowerCase()] = current;
    } else if (line !== '') current.push(line);
  }
  return sections;
};

/** Those that the tests use; `:` in ranges as in the manual's list. */
const MACROS: Readonly<Record<string, readonly string[]>> = {
  ssh: ['tcp 22'],
  web: ['tcp 80', 'tcp 443'],
  dns: ['udp 53', 'tcp 53'],
  mail: ['tcp 25', 'tcp 465', 'tcp 587'],
  ping: ['ping echo-request'],
  gre: ['47'],
  pptp: ['47', 'tcp 1723'],
  trcrt: ['udp 33434:33524', 'ping echo-request'],
  smb: ['udp 135,445', 'udp 137:139', 'udp 1024:65535 137', 'tcp 135,139,445'],
  ipsec: ['udp 500 500', '50'],
};

export function judgeByProxmox(guestText: string, clusterText: string, packet: ForeignPacket): Verdict {
  const guest = sectionsOf(guestText);
  const cluster = sectionsOf(clusterText);
  const blacklist = { guest: {}, cluster };
  if (packet.direction === 'ingress' && cluster['ipset blacklist'] !== undefined) {
    if (matchesList('+blacklist', packet.peer, blacklist) === true) return 'drop';
  }
  const way = packet.direction === 'ingress' ? 'in' : 'out';
  for (const line of guest['rules'] ?? []) {
    const verdict = ask(line, way, packet, { guest, cluster }, undefined);
    if (verdict !== undefined) return verdict;
  }
  const option = (guest['options'] ?? []).find((line) => line.startsWith(`policy_${way}:`))?.split(/:\s*/)[1];
  return VERDICTS[option ?? (way === 'in' ? 'DROP' : 'ACCEPT')] ?? 'drop';
}

const VERDICTS: Readonly<Record<string, Verdict>> = { ACCEPT: 'allow', DROP: 'drop', REJECT: 'reject' };

interface Names {
  readonly guest: Sections;
  readonly cluster: Sections;
}

function ask(
  line: string,
  way: string,
  packet: ForeignPacket,
  names: Names,
  nic: string | undefined,
): Verdict | undefined {
  if (line.startsWith('|')) return undefined;
  const [type = '', target = '', ...words] = line.split(/\s+/);
  const options: Record<string, string> = {};
  for (let at = 0; at < words.length; at += 2) options[(words[at] ?? '').replace(/^-+/, '')] = words[at + 1] ?? '';
  const iface = options['i'] ?? options['iface'] ?? nic;
  if (iface !== undefined && iface !== `net${packet.nic}`) return undefined;
  if (type === 'GROUP') {
    const inner = { guest: {}, cluster: names.cluster };
    for (const rule of names.cluster[`group ${target.toLowerCase()}`] ?? []) {
      const verdict = ask(rule, way, packet, inner, iface);
      if (verdict !== undefined) return verdict;
    }
    return undefined;
  }
  if (type.toLowerCase() !== way) return undefined;
  const [, macro, within, plain] = /^(?:(\S+)\((\w+)\)|(\w+))$/.exec(target) ?? [];
  const [source, dest] = packet.direction === 'ingress' ? [packet.peer, packet.own] : [packet.own, packet.peer];
  if (options['source'] !== undefined && matchesList(options['source'], source, names) !== true) return undefined;
  if (options['dest'] !== undefined && matchesList(options['dest'], dest, names) !== true) return undefined;
  const parts =
    macro === undefined
      ? [{ proto: options['p'], ports: options['dport'], sport: options['sport'], type: options['icmp-type'] }]
      : (MACROS[macro.toLowerCase()] ?? []).map((text) => {
          const [proto, ports, sport] = text.split(' ');
          return { proto, ports, sport: sport ?? options['sport'], type: undefined };
        });
  return parts.some((part) => matchesPart(part, packet)) ? VERDICTS[within ?? plain ?? ''] : undefined;
}

interface Part {
  readonly proto: string | undefined;
  readonly ports: string | undefined;
  readonly sport: string | undefined;
  readonly type: string | undefined;
}

const NUMBERS: Readonly<Record<string, number>> = { tcp: 6, udp: 17, sctp: 132, icmp: 1, icmpv6: 58, gre: 47, esp: 50 };
const ECHO: Readonly<Record<string, Readonly<Record<Family, number>>>> = {
  'echo-request': { 4: 8, 6: 128 },
  'echo-reply': { 4: 0, 6: 129 },
};

function matchesPart({ proto, ports, sport, type }: Part, packet: ForeignPacket): boolean {
  if (proto === undefined) return true;
  const family = familyIn(packet);
  // The macros with echo requests are of both families.
  const echo = family === 6 ? 58 : 1;
  const number = proto === 'ping' ? echo : (NUMBERS[proto] ?? Number(proto));
  if (number !== packet.protocol) return false;
  if (number === 1 || number === 58) {
    const text = type ?? ports;
    if (text === undefined || text === 'any') return true;
    const [name = '', code] = text.split('/');
    if (code !== undefined && Number(code) !== packet.icmpCode) return false;
    return packet.icmpType === (ECHO[name]?.[family] ?? Number(name));
  }
  return holds(ports, packet.port) && holds(sport, packet.sourcePort);
}

const holds = (list: string | undefined, port: number): boolean =>
  list === undefined ||
  list.split(',').some((part) => {
    const [first = 0, last = first] = part.split(':').map(Number);
    return port >= first && port <= last;
  });

/** `undefined`: it names what isn't there, and Proxmox skips the rule. */
function matchesList(list: string, peer: string, names: Names): boolean | undefined {
  const answers = list.split(',').map((part) => matchesOne(part, peer, names));
  return answers.includes(undefined) ? undefined : answers.includes(true);
}

const isIn = (range: string, peer: string): boolean => {
  if (!range.includes('-')) return inside(range, address(peer));
  const parsed = parseRange(range);
  const single = parseRange(peer);
  return parsed?.family === single?.family && parsed !== undefined && single !== undefined
    ? single.first >= parsed.first && single.first <= parsed.last
    : false;
};

function matchesOne(text: string, peer: string, names: Names): boolean | undefined {
  if (!text.startsWith('+')) {
    const range = parseRange(text) === undefined ? aliasOf(text, names) : text;
    return range === undefined ? undefined : isIn(range, peer);
  }
  const entries = find(text.slice(1), names, (sections, name) => sections[`ipset ${name}`]);
  if (entries === undefined) return undefined;
  let best = -1;
  let isMember = false;
  for (const entry of entries) {
    const plain = entry.replace(/^!\s*/, '');
    const prefix = parseRange(plain) === undefined ? aliasOf(plain, names) : plain;
    if (prefix === undefined || prefix.endsWith('/0') || !isIn(prefix, peer)) continue;
    const length = Number(prefix.split('/')[1] ?? 128 + 32);
    if (length >= best) isMember = !entry.startsWith('!');
    best = Math.max(best, length);
  }
  return isMember;
}

const aliasOf = (text: string, names: Names): string | undefined =>
  find(
    text,
    names,
    (sections, name) =>
      sections['aliases']?.find((line) => line.split(/\s+/)[0]?.toLowerCase() === name)?.split(/\s+/)[1],
  );

function find<T>(text: string, { guest, cluster }: Names, look: (of: Sections, name: string) => T | undefined) {
  const name = text.toLowerCase();
  if (name.startsWith('dc/')) return look(cluster, name.slice(3));
  if (name.startsWith('guest/')) return look(guest, name.slice(6));
  return look(guest, name) ?? look(cluster, name);
}
