/** Protocols, ports and ICMP types of other firewalls as service words of a policy. */
import type { Family } from '../../render/address.ts';
import { catalogue } from '../catalogue.ts';
import { icmpTypes, isIcmpError, isRouterAdvertisement } from '../icmp-types.ts';
import { parseServiceWord } from '../services.ts';
import type { Said } from './say-rule.ts';

export type Ported = 'tcp' | 'udp' | 'sctp';

const NUMBERS = { tcp: 6, udp: 17, sctp: 132 } as const;

export const isPorted = (protocol: string): protocol is Ported => protocol in NUMBERS;

export const said = (...words: readonly string[]): Said => ({ words, lost: [] });
export const lost = (what: string, wider: string | null): Said => ({ words: [], lost: [{ what, wider }] });

export const joinSaid = (parts: readonly Said[]): Said => ({
  words: parts.flatMap(({ words }) => words),
  lost: parts.flatMap((part) => part.lost),
});

/** All of a protocol, whatever its ports. */
export const wholeProtocol = (protocol: Ported): string => `proto/${NUMBERS[protocol]}`;

/** `80,443,5000-5010`, with `:` or `-` in ranges; names are those of the catalogue. Nothing: all ports. */
export function sayPorts(protocol: Ported, text: string): Said {
  if (text.trim() === '') return said(wholeProtocol(protocol));
  return joinSaid(text.split(',').map((part) => sayPort(protocol, part.trim())));
}

function sayPort(protocol: Ported, text: string): Said {
  // Port 0 is nobody's, and no policy's.
  const range = text.replace(':', '-').replace(/^0-(?=[1-9])/, '1-');
  const word = `${protocol}/${range}`;
  if (/^\d/.test(range) && parseServiceWord(word).kind === 'matches') return said(word);
  const named = catalogue.get(text)?.services.filter((service) => service.startsWith(`${protocol}/`)) ?? [];
  return named.length > 0 ? said(...named) : lost(`the port ${JSON.stringify(text)}`, wholeProtocol(protocol));
}

/** A type by number or by name, or nothing for all of them; error messages pass with the flow they are about. */
export function sayIcmp(family: Family, text: string): Said {
  const whole = `icmp${family}`;
  if (text === '' || text === 'any') return said(whole);
  const [typeText = '', code] = text.split('/');
  const type = /^\d{1,3}$/.test(typeText) ? Number(typeText) : typeByName(family, typeText);
  if (type === undefined || type > 255) return lost(`the ICMP type ${JSON.stringify(text)}`, whole);
  if (isIcmpError(family, type)) return lost(`ICMP errors that are about no allowed flow (${text})`, null);
  if (isRouterAdvertisement(family, type)) return lost('router advertisements, which never pass', null);
  return code === undefined ? said(icmpWord(family, type)) : lost(`the ICMP code in ${text}`, icmpWord(family, type));
}

const icmpWord = (family: Family, type: number): string => `icmp${family}/${type}`;

/** As iptables calls them where that differs; names that mean one code of a type are no types. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  'router-solicitation': 'nd-router-solicit',
  'router-advertisement': 'nd-router-advert',
  'neighbor-solicitation': 'nd-neighbor-solicit',
  'neighbour-solicitation': 'nd-neighbor-solicit',
  'neighbor-advertisement': 'nd-neighbor-advert',
  'neighbour-advertisement': 'nd-neighbor-advert',
};

const typeByName = (family: Family, name: string): number | undefined =>
  icmpTypes[family].get(name) ?? (family === 6 ? icmpTypes[6].get(OTHER_NAMES[name] ?? '') : undefined);

/** Protocols that people write by name. */
const BY_NAME: ReadonlyMap<string, number> = new Map([
  ['igmp', 2],
  ['ipencap', 4],
  ['ipip', 94],
  ['ipv6', 41],
  ['gre', 47],
  ['esp', 50],
  ['ipsec-esp', 50],
  ['ah', 51],
  ['ospf', 89],
  ['pim', 103],
  ['vrrp', 112],
  ['l2tp', 115],
  ['dccp', 33],
  ['udplite', 136],
]);

/** A protocol by name or number, with no ports. */
export function sayProtocol(text: string): Said {
  const number = /^\d{1,3}$/.test(text) ? Number(text) : BY_NAME.get(text.toLowerCase());
  if (number === 1) return sayIcmp(4, '');
  if (number === 58) return sayIcmp(6, '');
  if (number === undefined || number > 255) return lost(`the protocol ${JSON.stringify(text)}`, 'any');
  return said(`proto/${number}`);
}
