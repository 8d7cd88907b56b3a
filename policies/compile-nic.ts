/** What one routed NIC of a running container needs from the kernel: rules, routes, gateways, proxies, sysctls. */
import {
  type Address,
  addressFrom,
  bitsOf,
  type Family,
  familyOf,
  hostPrefix,
  isHostPrefix,
  networkOf,
  type Prefix,
  prefixLength,
  rangeOf,
} from '../render/address.ts';
import type { GatewayAddress, NeighbourProxy, NicState, Route, Sysctl } from '../render/desired.ts';
import type { InterfaceName } from '../render/names.ts';
import type { PolicyChain } from '../render/rule.ts';
import { compileBridgedNic } from './compile-bridged-nic.ts';
import type { Endpoint, Gateway } from './endpoint.ts';
import { fragmentSysctls } from './fragment-sysctls.ts';
import { type HostNetwork, isOnLink, onLinkDevice, primaryAddress } from './host-network.ts';

export interface NicInput {
  readonly container: string;
  readonly endpoint: Endpoint;
  readonly hostVeth: InterfaceName;
  readonly egress: PolicyChain;
  readonly ingress: PolicyChain;
  /** Addresses (as host prefixes) and routed prefixes that the NIC won. */
  readonly prefixes: readonly Prefix[];
  /** Further routing tables that get its routes. */
  readonly tables: readonly number[];
  readonly uplink?: NonNullable<NicState['uplink']>;
}

/** Prefixes longer than this are proxied address by address; a wider one belongs routed, not on a link. */
const PROXIED_BITS = 8;

export function compileNic(input: NicInput, host: HostNetwork): NicState {
  const { endpoint, hostVeth, prefixes, tables, uplink } = input;
  const { attachment } = endpoint;
  if (attachment?.mac !== undefined)
    return compileBridgedNic({ ...input, nic: endpoint.nic }, attachment, attachment.mac, host);
  const routes = prefixes.map((prefix) => routeTo(prefix, hostVeth, prefixes));
  const proxies = [
    ...prefixes.flatMap((prefix) => uplinkProxies(prefix, host, uplink?.dev)),
    ...endpoint.gateways.flatMap((gateway) => gatewayProxies(gateway, hostVeth, host)),
  ];
  return {
    container: input.container,
    nic: endpoint.nic,
    hostVeth,
    owned: prefixes,
    egress: input.egress,
    ingress: input.ingress,
    routes: [...routes, ...tables.flatMap((table) => routes.map((route) => ({ ...route, table })))],
    gateways: endpoint.gateways.flatMap((gateway) => gatewayAddresses(gateway, hostVeth, host)),
    proxies,
    sysctls: sysctlsFor(input, host, proxies),
    ...(uplink && { uplink }),
  };
}

function routeTo(prefix: Prefix, dev: InterfaceName, prefixes: readonly Prefix[]): Route {
  const hop = prefixes.find((other) => isHostPrefix(other) && familyOf(other) === familyOf(prefix));
  return isHostPrefix(prefix) || hop === undefined ? { prefix, dev } : { prefix, dev, via: networkOf(hop) };
}

/** Too wide to be proxied address by address, though its neighbours look for it on their link. */
export function unproxiedPrefixes(prefixes: readonly Prefix[], host: HostNetwork): Prefix[] {
  return prefixes.filter((prefix) => onLinkDevice(host, networkAddress(prefix)) !== undefined && !isProxied(prefix));
}

const isProxied = (prefix: Prefix): boolean => bitsOf(familyOf(prefix)) - prefixLength(prefix) <= PROXIED_BITS;

const networkAddress = (prefix: Prefix): Address => addressFrom(rangeOf(prefix).first, familyOf(prefix));

/** `uplink`: neighbours are answered there, or nowhere. */
function uplinkProxies(prefix: Prefix, host: HostNetwork, uplink: InterfaceName | undefined): NeighbourProxy[] {
  const own = uplink !== undefined && isOnLink(host, uplink, prefix) ? uplink : undefined;
  const dev = uplink === undefined ? onLinkDevice(host, networkAddress(prefix)) : own;
  if (dev === undefined || !isProxied(prefix)) return [];
  const { family, first, last } = rangeOf(prefix);
  const count = Number(last - first) + 1;
  return Array.from({ length: count }, (_, index) => ({ address: addressFrom(first + BigInt(index), family), dev }));
}

function addressOf(gateway: Gateway, host: HostNetwork): Address | undefined {
  switch (gateway.kind) {
    case 'address':
      return gateway.address;
    case 'link':
      return primaryAddress(host, gateway.link, gateway.family);
    case 'device':
      return undefined;
  }
}

/**
 * A gateway that exists elsewhere on a link of ours is proxied: as an address of this host it would take the real
 * router's place. Any other is an address of the host-side veth, which answers without a default route too.
 */
const existsElsewhere = (address: Address, host: HostNetwork): boolean =>
  host.addresses.has(address) || onLinkDevice(host, address) !== undefined;

function gatewayAddresses(gateway: Gateway, dev: InterfaceName, host: HostNetwork): GatewayAddress[] {
  const address = addressOf(gateway, host);
  return address === undefined || existsElsewhere(address, host) ? [] : [{ address, dev }];
}

function gatewayProxies(gateway: Gateway, dev: InterfaceName, host: HostNetwork): NeighbourProxy[] {
  const address = addressOf(gateway, host);
  if (address === undefined || !existsElsewhere(address, host)) return [];
  // IPv4 answers for every address of the host on any interface; IPv6 only on the one that has it.
  return host.addresses.has(address) && familyOf(address) === 4 ? [] : [{ address, dev }];
}

function sysctlsFor(input: NicInput, host: HostNetwork, proxies: readonly NeighbourProxy[]): Sysctl[] {
  const families = new Set<Family>(input.prefixes.map(familyOf));
  return [
    ...(families.has(4) ? forwarding4(input, host) : []),
    ...(families.has(6) ? forwarding6(input.hostVeth, host) : []),
    ...proxySysctls(proxies.filter(({ address }) => familyOf(address) === 6)),
    ...fragmentSysctls(families),
  ];
}

/** Per interface, since `ip_forward` would make a router between all the others too. */
function forwarding4({ hostVeth, endpoint }: NicInput, host: HostNetwork): Sysctl[] {
  const forwarding = [hostVeth, ...host.uplinks].map((dev) => ({
    key: `net/ipv4/conf/${dev}/forwarding`,
    value: '1',
    reason: dev === hostVeth ? 'forwards what the container sends' : 'forwards what the container gets',
  }));
  if (!endpoint.gateways.some((gateway) => gateway.kind === 'device' && gateway.family === 4)) return forwarding;
  return [
    ...forwarding,
    {
      key: `net/ipv4/conf/${hostVeth}/proxy_arp`,
      value: '1',
      reason: 'ipv4.gateway = dev: the container asks for every address',
    },
  ];
}

/**
 * IPv6 forwards on all interfaces or on none. An interface that forwards stops listening to router advertisements
 * and forgets the host's own default route, unless accept_ra is 2; so that comes first.
 */
function forwarding6(hostVeth: InterfaceName, host: HostNetwork): Sysctl[] {
  return [
    ...host.uplinks.map((dev) => ({
      key: `net/ipv6/conf/${dev}/accept_ra`,
      value: '2',
      replaces: '1',
      reason: "keeps the host's own IPv6 default route while it forwards",
    })),
    { key: `net/ipv6/conf/${hostVeth}/accept_ra`, value: '0', reason: 'a container is no router' },
    { key: 'net/ipv6/conf/all/forwarding', value: '1', reason: 'IPv6 forwards on all interfaces or on none' },
  ];
}

/** Without `all`, the kernel answers multicast solicitations only, and a neighbour's unicast probe finds nobody. */
function proxySysctls(proxies: readonly NeighbourProxy[]): Sysctl[] {
  if (proxies.length === 0) return [];
  const devices = [...new Set(proxies.map(({ dev }) => dev))];
  return ['all', ...devices].map((dev) => ({
    key: `net/ipv6/conf/${dev}/proxy_ndp`,
    value: '1',
    reason: "answers neighbours' questions for containers",
  }));
}

const ownPrefixes = new WeakMap<Endpoint, readonly Prefix[]>();

/** The addresses and routed prefixes that a NIC asks for, without repetition; the same list each time where all are its own. */
export function claimedPrefixes(endpoint: Endpoint, policyRoutes: readonly Prefix[]): readonly Prefix[] {
  const own = ownPrefixes.get(endpoint) ?? [...new Set([...endpoint.addresses.map(hostPrefix), ...endpoint.routes])];
  ownPrefixes.set(endpoint, own);
  return policyRoutes.length === 0 ? own : [...new Set([...own, ...policyRoutes])];
}
