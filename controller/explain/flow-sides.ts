/** Where an address is, seen from this host: at a NIC of a container, here, outside, or nowhere. */
import { type HostNetwork, type LinkAddress, onLinkDevice } from '../../policies/host-network.ts';
import {
  type Address,
  addressFrom,
  addressNumber,
  contains,
  familyOf,
  type Prefix,
  parsePrefix,
  prefixLength,
  prefixOf,
  rangeOf,
} from '../../render/address.ts';
import type { DesiredState, NicState } from '../../render/desired.ts';
import { matchesAny } from '../../render/names.ts';
import { nicIndexOf } from '../host/nic-index.ts';

export type Side =
  | { readonly kind: 'nic'; readonly key: string; readonly nic: NicState }
  | { readonly kind: 'host' }
  /** Multicast, broadcast and anycast: this host may listen, and passes it on to nobody. */
  | { readonly kind: 'group' }
  /** `link`: the interface on whose own network it lies, where that is known. */
  | { readonly kind: 'outside'; readonly link: string | undefined }
  /** The kernel itself refuses it, before or after the rules. */
  | { readonly kind: 'nowhere'; readonly why: string };

export interface FlowHost {
  readonly desired: DesiredState;
  readonly network: HostNetwork;
  /** By an address on no network of the host's own, the guarded interface behind which it is; see readGuardedWays. */
  readonly guardedWays?: ReadonlyMap<Address, string>;
}

/** Where a packet for the address goes that came in through `from`, or that the host itself sends. */
export function destinationSide(host: FlowHost, address: Address, from: Side): Side {
  const remote = from.kind !== 'host';
  if (isLoopback(address) || isUnspecified(address)) {
    return remote ? { kind: 'nowhere', why: `${address} is no address that can be routed` } : { kind: 'host' };
  }
  if (isMulticast(address) || isBroadcast(address, host.network)) return { kind: 'group' };
  if (isLinkLocal6(address)) return linkLocalSide(host, address, from);
  if (isHostAddress(host, address)) return { kind: 'host' };
  return nicSide(host, address) ?? outside(host, address);
}

/** Who sends from the address. */
export function sourceSide(host: FlowHost, address: Address): Side {
  if (isLoopback(address) || isHostAddress(host, address)) return { kind: 'host' };
  return nicSide(host, address) ?? outside(host, address);
}

/** The kernel's own routes have the better metric where a prefix is as long as ours. */
function nicSide({ desired, network }: FlowHost, address: Address): Side | undefined {
  const owner = nicIndexOf(desired).ownerOf(address);
  if (owner === undefined) return undefined;
  const onLink = network.onLink.find(({ range }) => contains(range, address));
  if (onLink !== undefined && prefixLength(onLink.prefix) >= owner.length) return undefined;
  return { kind: 'nic', key: owner.key, nic: owner.nic };
}

const outside = ({ network, guardedWays }: FlowHost, address: Address): Side => ({
  kind: 'outside',
  link: onLinkDevice(network, address) ?? guardedLink(network, address) ?? guardedWays?.get(address),
});

/** An interface that is no uplink may have a network of its own too. */
function guardedLink({ links }: HostNetwork, address: Address): string | undefined {
  for (const link of links.values()) {
    if (link.loopback) continue;
    if (link.addresses.some((own) => own.scope === 'global' && contains(rangeOf(networkOfLink(own)), address))) {
      return link.name;
    }
  }
  return undefined;
}

const networkOfLink = ({ address, prefixLength: length }: LinkAddress): Prefix =>
  prefixOf(addressNumber(address), length, familyOf(address));

/** Whether the guard shuts the interface: matched, named by nobody as uplink, claimed by no NIC. */
export function isGuarded({ desired }: FlowHost, link: string | undefined): boolean {
  if (link === undefined) return false;
  const { guardPatterns, guardedNames, uplinks } = desired.host;
  if (uplinks.some((name) => name === link)) return false;
  return guardedNames.some((name) => name === link) || matchesAny(link, guardPatterns);
}

/** Gateways on host-side veths are the host's own, also while no listing of its addresses shows them. */
export function isHostAddress({ desired, network }: FlowHost, address: Address): boolean {
  return (
    network.addresses.has(address) || nicIndexOf(desired).gateways.has(address) || linkAddresses(network).has(address)
  );
}

/** All for which isHostAddress says yes. */
export const ownAddresses = ({ desired, network }: FlowHost): ReadonlySet<Address> =>
  new Set([...network.addresses, ...nicIndexOf(desired).gateways, ...linkAddresses(network)]);

const known = new WeakMap<HostNetwork, ReadonlySet<Address>>();

/** Of every scope, which network.addresses leaves out. */
function linkAddresses(network: HostNetwork): ReadonlySet<Address> {
  const before = known.get(network);
  if (before !== undefined) return before;
  const all = new Set([...network.links.values()].flatMap((link) => link.addresses.map(({ address }) => address)));
  known.set(network, all);
  return all;
}

/** A link-local address means another neighbour on every link, and is never forwarded. */
function linkLocalSide({ desired, network }: FlowHost, address: Address, from: Side): Side {
  const why = `${address} is link-local: nobody but the host is on that link`;
  switch (from.kind) {
    case 'host':
      return linkAddresses(network).has(address) || nicIndexOf(desired).gateways.has(address)
        ? { kind: 'host' }
        : { kind: 'outside', link: undefined };
    case 'nic': {
      const own = network.links.get(from.nic.hostVeth)?.addresses ?? [];
      const isThere = from.nic.gateways.some((gateway) => gateway.address === address);
      return isThere || own.some((entry) => entry.address === address) ? { kind: 'host' } : { kind: 'nowhere', why };
    }
    case 'outside':
    case 'group':
    case 'nowhere':
      return linkAddresses(network).has(address) ? { kind: 'host' } : { kind: 'nowhere', why };
  }
}

const inAny = (address: Address, prefixes: readonly Prefix[]): boolean =>
  prefixes.some((prefix) => contains(rangeOf(prefix), address));

const prefixes = (...texts: readonly string[]): Prefix[] => texts.flatMap((text) => parsePrefix(text) ?? []);

const LOOPBACK = prefixes('127.0.0.0/8', '::1/128');
const UNSPECIFIED = prefixes('0.0.0.0/8', '::/128');
const MULTICAST = prefixes('224.0.0.0/4', 'ff00::/8');
const LINK_LOCAL_6 = prefixes('fe80::/10');

const isLoopback = (address: Address): boolean => inAny(address, LOOPBACK);
const isUnspecified = (address: Address): boolean => inAny(address, UNSPECIFIED);
const isMulticast = (address: Address): boolean => inAny(address, MULTICAST);
export const isLinkLocal6 = (address: Address): boolean => inAny(address, LINK_LOCAL_6);

/** IPv4's last address of a network of ours; IPv6's first, which every router of the network answers for. */
function isBroadcast(address: Address, { onLink }: HostNetwork): boolean {
  if (address === '255.255.255.255') return true;
  return onLink.some(({ prefix, range }) => {
    if (range.family === 4) return prefixLength(prefix) <= 30 && address === addressFrom(range.last, 4);
    return prefixLength(prefix) <= 126 && address === addressFrom(range.first, 6);
  });
}
