/** The ends of a flow in question: which address each would use, and who has it. */
import { addressHint } from '../../policies/address-mistake.ts';
import type { Container } from '../../policies/endpoint.ts';
import type { HostNetwork } from '../../policies/host-network.ts';
import {
  type Address,
  addressNumber,
  bitsOf,
  type Family,
  familyOf,
  networkOf,
  parseAddress,
  parsePrefix,
} from '../../render/address.ts';
import type { NicState } from '../../render/desired.ts';
import { destinationSide, type FlowHost, isLinkLocal6, type Side } from './flow-sides.ts';

export type FlowParty =
  | { readonly kind: 'container'; readonly name: string }
  | { readonly kind: 'host' }
  | { readonly kind: 'address'; readonly address: Address };

export interface PartiesHost extends FlowHost {
  readonly containers: readonly Container[];
}

export interface FlowEnd {
  readonly address: Address | undefined;
  /** Where it is whatever its address says; `undefined`: wherever the address is. */
  readonly side: Side | undefined;
}

export function findTarget(host: PartiesHost, party: FlowParty, family: Family): FlowEnd {
  switch (party.kind) {
    case 'address':
      return { address: familyOf(party.address) === family ? party.address : undefined, side: undefined };
    case 'host':
      return { address: hostAddress(host, family), side: { kind: 'host' } };
    case 'container':
      return nicEnd(host, party.name, family);
  }
}

/** `destination`: decides about the address that the sender would choose. */
export function findSource(
  host: PartiesHost,
  party: FlowParty,
  family: Family,
  destination: Address | undefined,
): FlowEnd {
  switch (party.kind) {
    case 'address':
      return findTarget(host, party, family);
    case 'host':
      return { address: hostSource(host, family, destination), side: { kind: 'host' } };
    case 'container': {
      const end = nicEnd(host, party.name, family);
      const near = family === 6 && destination !== undefined && needsLinkLocal(destination);
      return near && end.side !== undefined ? { ...end, address: LINK_LOCAL } : end;
    }
  }
}

/** Any of fe80::/64 is judged the same; the container's own depends on its MAC. */
const LINK_LOCAL = parseAddress('fe80::2');

/** Source selection stays in the destination's scope (RFC 6724): link-local for ff01:: and ff02:: too. */
const needsLinkLocal = (destination: Address): boolean =>
  isLinkLocal6(destination) || /^ff[0-9a-f][12]:/.test(destination);

/** The first NIC that has an address of the family; what it asks for in vain is an address that isn't its own. */
function nicEnd({ desired, containers }: PartiesHost, name: string, family: Family): FlowEnd {
  const keys = containers.filter((container) => container.name === name).flatMap(({ endpoints }) => endpoints);
  const nics = keys.flatMap((endpoint) => {
    const nic = desired.nics.get(endpoint.key);
    return nic === undefined ? [] : [{ key: endpoint.key, nic, endpoint }];
  });
  for (const { key, nic } of nics) {
    const address = ownAddress(nic, family);
    if (address !== undefined) return { address, side: { kind: 'nic', key, nic } };
  }
  for (const { key, nic, endpoint } of nics) {
    const address = endpoint.addresses.find((own) => familyOf(own) === family);
    if (address !== undefined) return { address, side: { kind: 'nic', key, nic } };
  }
  return { address: undefined, side: undefined };
}

function ownAddress(nic: NicState, family: Family): Address | undefined {
  const prefix = nic.owned.find((own) => familyOf(own) === family);
  return prefix === undefined ? undefined : networkOf(prefix);
}

/** The one that others would know it by: of an uplink where there is one. */
function hostAddress({ network, desired }: FlowHost, family: Family): Address | undefined {
  const gateways = [...desired.nics.values()].flatMap((nic) => nic.gateways.map(({ address }) => address));
  return globalAddresses(network, family)[0] ?? gateways.find((address) => familyOf(address) === family);
}

function globalAddresses({ links, uplinks }: HostNetwork, family: Family): Address[] {
  const names = new Set<string>(uplinks);
  const ordered = [...links.values()].sort((a, b) => Number(names.has(b.name)) - Number(names.has(a.name)));
  return ordered.flatMap((link) =>
    link.addresses
      .filter(({ address, scope }) => scope === 'global' && familyOf(address) === family)
      .map(({ address }) => address),
  );
}

/**
 * What the kernel chooses for a destination: on IPv4 an address of the outgoing interface, with link scope too, which
 * is the gateway's on a host-side veth; on IPv6 the global one that has most in common with the destination, and a
 * link-local one where the host has no other.
 */
function hostSource(host: FlowHost, family: Family, destination: Address | undefined): Address | undefined {
  const side = destination === undefined ? undefined : destinationSide(host, destination, { kind: 'host' });
  if (side?.kind === 'host') return destination;
  const candidates = globalAddresses(host.network, family);
  if (destination === undefined || side?.kind !== 'nic') return candidates[0];
  const gateway = side.nic.gateways.find(({ address }) => familyOf(address) === family)?.address;
  if (family === 4) return gateway ?? candidates[0];
  const common = (address: Address): number => commonBits(address, destination);
  return [...candidates].sort((a, b) => common(b) - common(a))[0] ?? gateway ?? LINK_LOCAL;
}

function commonBits(a: Address, b: Address): number {
  const difference = addressNumber(a) ^ addressNumber(b);
  return difference === 0n ? bitsOf(familyOf(a)) : bitsOf(familyOf(a)) - difference.toString(2).length;
}

/** The families that a party can speak. */
export function familiesOf(host: PartiesHost, party: FlowParty): Family[] {
  return ([4, 6] as const).filter((family) => findTarget(host, party, family).address !== undefined);
}

/** `container:NAME`, `host`, or an address; what is wrong with it otherwise. */
export function parseParty(text: string): FlowParty | string {
  if (text === 'host') return { kind: 'host' };
  if (text.startsWith('container:')) {
    const name = text.slice('container:'.length);
    return name === '' ? 'container: names nothing; write container:NAME' : { kind: 'container', name };
  }
  const address = parseAddress(text);
  if (address !== undefined) return { kind: 'address', address };
  if (parsePrefix(text) !== undefined) return `${text} is a prefix; name one address of it`;
  if (/^(any|lan|internet)$|^(group|set|dns):/.test(text)) return `${text} is many addresses; name one of them`;
  return `${text} is neither container:NAME, nor host, nor an address${addressHint(text)}`;
}
