/** The host's own side of the network: its addresses, its uplinks, and which of them an address is on. */
import {
  type Address,
  type AddressRange,
  addressNumber,
  bitsOf,
  contains,
  type Family,
  familyOf,
  networkOf,
  type Prefix,
  parseAddress,
  prefixLength,
  prefixOf,
  rangeOf,
} from '../render/address.ts';
import { type InterfaceName, type InterfacePattern, matchesAny, parseInterfaceName } from '../render/names.ts';
import type { UplinkFacts } from './uplink-facts.ts';

/** One interface with its addresses, as `ip -j address` tells. */
export interface HostLink {
  readonly name: string;
  readonly mac: string;
  readonly loopback: boolean;
  /** Switched off. */
  readonly down?: true;
  readonly noCarrier?: true;
  /** Nobody is asked on it, by ARP or NDP. */
  readonly noArp?: true;
  readonly addresses: readonly LinkAddress[];
  /** The bridge or bond that it is a port of. */
  readonly master?: string;
}

export interface LinkAddress {
  readonly address: Address;
  readonly prefixLength: number;
  readonly scope: string;
}

export interface OnLinkPrefix {
  readonly dev: InterfaceName;
  readonly prefix: Prefix;
  readonly range: AddressRange;
}

export interface HostNetwork {
  /** Interfaces that lead to neighbours: named by the administrator, or each that is neither loopback nor guarded and has an address. */
  readonly uplinks: readonly InterfaceName[];
  /** Longest prefix first. */
  readonly onLink: readonly OnLinkPrefix[];
  readonly links: ReadonlyMap<string, HostLink>;
  readonly addresses: ReadonlySet<Address>;
  /** Read only where a policy has an `uplink`. */
  readonly uplinkFacts?: UplinkFacts;
}

export interface UplinkChoice {
  readonly uplinks: 'auto' | readonly InterfaceName[];
  readonly guard: readonly InterfacePattern[];
  /** Host-side veths that configurations name: never uplinks. */
  readonly veths: ReadonlySet<string>;
}

export function describeHost(links: readonly HostLink[], choice: UplinkChoice): HostNetwork {
  const uplinks = links.filter((link) => isUplink(link, choice));
  return {
    uplinks: uplinks.map((link) => parseInterfaceName(link.name)).filter((name) => name !== undefined),
    onLink: uplinks.flatMap(onLinkPrefixes).sort((a, b) => prefixLength(b.prefix) - prefixLength(a.prefix)),
    links: new Map(links.map((link) => [link.name, link])),
    // Gateways stand on our veths with link scope; they are no addresses that a container could take from the host.
    addresses: new Set(
      links.flatMap((link) => link.addresses.filter(({ scope }) => scope !== 'link').map(({ address }) => address)),
    ),
  };
}

const isVeth = (link: HostLink, { guard, veths, uplinks }: UplinkChoice): boolean =>
  (veths.has(link.name) || matchesAny(link.name, guard)) &&
  !(uplinks !== 'auto' && uplinks.some((name) => name === link.name));

function isUplink(link: HostLink, choice: UplinkChoice): boolean {
  if (choice.uplinks !== 'auto') return choice.uplinks.some((name) => name === link.name);
  return !link.loopback && !isVeth(link, choice) && link.addresses.some(({ scope }) => scope === 'global');
}

function onLinkPrefixes(link: HostLink): OnLinkPrefix[] {
  const dev = parseInterfaceName(link.name);
  if (dev === undefined) return [];
  return link.addresses
    .filter(({ address, prefixLength: length, scope }) => scope === 'global' && length < bitsOf(familyOf(address)))
    .map(({ address, prefixLength: length }) => {
      const prefix = prefixOf(addressNumber(address), length, familyOf(address));
      return { dev, prefix, range: rangeOf(prefix) };
    });
}

/** The networks on that link, be it an uplink or not. */
export function linkPrefixes({ links }: HostNetwork, name: string): Prefix[] {
  const link = links.get(name);
  return link === undefined ? [] : onLinkPrefixes(link).map(({ prefix }) => prefix);
}

/** The uplink whose on-link prefix holds the address, by longest prefix. */
export const onLinkDevice = (host: HostNetwork, address: Address): InterfaceName | undefined =>
  host.onLink.find(({ range }) => contains(range, address))?.dev;

/** Whether that uplink's neighbours look for the prefix on their link. */
export const isOnLink = ({ onLink }: HostNetwork, dev: string, prefix: Prefix): boolean =>
  onLink.some((link) => link.dev === dev && contains(link.range, networkOf(prefix)));

/** The first address of that family on the link that others can reach. */
export const primaryAddress = (host: HostNetwork, link: string, family: Family): Address | undefined =>
  host.links.get(link)?.addresses.find(({ address, scope }) => familyOf(address) === family && scope === 'global')
    ?.address;

export const linkLocalAddress = (host: HostNetwork, link: string): Address | undefined =>
  host.links.get(link)?.addresses.find(({ address, scope }) => familyOf(address) === 6 && scope === 'link')?.address;

/** Reads the output of `ip -j address`; what has no name, or addresses that make no sense, is passed over. */
export const parseLinks = (json: unknown): HostLink[] =>
  arrayOf(json).flatMap((link) => describeLink(link, arrayOf(link['addr_info']).flatMap(parseLinkAddress)));

/** One of `ip -j link`, which tells no addresses. */
export function describeLink(link: Readonly<Record<string, unknown>>, addresses: readonly LinkAddress[]): HostLink[] {
  const name = text(link['ifname']);
  if (name === '') return [];
  return [
    {
      name,
      mac: text(link['address']),
      loopback: text(link['link_type']) === 'loopback' || name === 'lo',
      ...parseFlags(link['flags']),
      addresses,
      ...(text(link['master']) === '' ? {} : { master: text(link['master']) }),
    },
  ];
}

function parseFlags(value: unknown): Pick<HostLink, 'down' | 'noCarrier' | 'noArp'> {
  const flags: readonly unknown[] = Array.isArray(value) ? value : ['UP'];
  return {
    ...(!flags.includes('UP') && { down: true }),
    ...(flags.includes('NO-CARRIER') && { noCarrier: true }),
    ...(flags.includes('NOARP') && { noArp: true }),
  };
}

function parseLinkAddress(info: Readonly<Record<string, unknown>>): LinkAddress[] {
  const address = parseAddress(text(info['local']));
  const length = info['prefixlen'];
  if (address === undefined || typeof length !== 'number') return [];
  return [{ address, prefixLength: length, scope: text(info['scope']) }];
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

function arrayOf(value: unknown): Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;
