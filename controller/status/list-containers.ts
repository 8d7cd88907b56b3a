/** What is known of each container, in the form that `routewall list` prints. */
import { claimedPrefixes } from '../../policies/compile-nic.ts';
import type { Container, Endpoint } from '../../policies/endpoint.ts';
import { primaryAddress } from '../../policies/host-network.ts';
import type { Problem } from '../../policies/problem.ts';
import { type Address, type Family, familyOf, hostPrefix, parseAddress, parsePrefix } from '../../render/address.ts';
import type { LxcConfig, LxcGateway, LxcNic } from '../../watchers/lxc-config/config.ts';
import { type Observing, observingOf } from '../denials/observing.ts';
import { describeNat } from '../explain/describe-nat.ts';
import { type NicKind, nicKind, nicName } from '../host/containers.ts';
import { type Unenforced, unenforcedOf } from '../host/unenforceable-nics.ts';
import { type Assembled, problemsOf } from '../pass/assemble.ts';
import type { PolicyStatus } from '../pass/policy-status.ts';

export interface ListedNic {
  readonly index: number;
  readonly name: string;
  readonly type: string | null;
  readonly kind: NicKind;
  readonly link: string | null;
  readonly hostVeth: string | null;
  readonly addresses: readonly string[];
  readonly routes: readonly string[];
  readonly gateways: readonly string[];
  /** On a bridge, running, and without an address of its own until a DHCP server leases it one; absent otherwise. */
  readonly awaitsLease?: true;
  /** `masqueraded as 192.0.2.7`, `192.0.2.1 tcp/8080 to tcp/80`; absent where nothing is translated, or it doesn't run. */
  readonly translations?: readonly string[];
}

export interface ListedContainer extends Unenforced {
  readonly container: string;
  readonly state: string;
  /** By a panic. */
  readonly sealed: boolean;
  readonly groups: readonly string[];
  readonly policy: {
    readonly file: string | null;
    readonly status: PolicyStatus;
    readonly observing: Observing | null;
  };
  readonly nics: readonly ListedNic[];
  readonly problems: readonly Problem[];
}

export interface ContainerToList {
  readonly container: Container;
  readonly lxc: LxcConfig;
  readonly state: string;
  /** By endpoint key; of bridged NICs too where known. */
  readonly veths: ReadonlyMap<string, string>;
  readonly isSealed: boolean;
}

/** A policy that a container doesn't have is shown as closed. */
export function listContainer(
  { container, lxc, state, veths, isSealed: sealed }: ContainerToList,
  assembled: Assembled,
): ListedContainer {
  const policy = assembled.policies.get(container.id);
  return {
    container: container.name,
    state,
    sealed,
    groups: container.groups,
    policy: {
      file: policy?.file ?? null,
      status: policy?.status ?? 'closed',
      observing: observingOf(policy?.enforced),
    },
    nics: lxc.nics.map((nic) => listNic(nic, container, veths, assembled)),
    ...unenforcedOf(container),
    problems: problemsOf(assembled, container),
  };
}

function listNic(
  nic: LxcNic,
  container: Container,
  veths: ReadonlyMap<string, string>,
  assembled: Assembled,
): ListedNic {
  const key = `${container.id}/${nic.index}`;
  const endpoint = container.endpoints.find((candidate) => candidate.key === key);
  const nat = assembled.desired.nics.get(key)?.nat;
  return {
    index: nic.index,
    name: nicName(nic),
    type: nic.type,
    kind: container.wired?.some(({ index }) => index === nic.index) ? 'wired' : nicKind(nic),
    link: nic.link ?? null,
    hostVeth: veths.get(key) ?? null,
    addresses: addressesOf(nic, endpoint),
    routes: endpoint === undefined ? routesOf(nic) : allRoutes(endpoint, container, assembled),
    gateways: [...gatewayText(nic.ipv4Gateway, 4, nic, assembled), ...gatewayText(nic.ipv6Gateway, 6, nic, assembled)],
    ...(endpoint?.attachment?.isLeased === true && veths.has(key) && !endpoint.addresses.some(isIpv4)
      ? { awaitsLease: true }
      : {}),
    ...(nat === undefined ? {} : { translations: describeNat(nat) }),
  };
}

const isIpv4 = (address: Address): boolean => familyOf(address) === 4;

function addressesOf(nic: LxcNic, endpoint: Endpoint | undefined): string[] {
  if (endpoint !== undefined) return [...new Set(endpoint.addresses.map(hostPrefix))];
  return [...nic.ipv4Addresses, ...nic.ipv6Addresses].flatMap(({ text }) => {
    const address = parseAddress(text);
    return address === undefined ? [] : [hostPrefix(address)];
  });
}

const routesOf = (nic: LxcNic): string[] =>
  [...nic.ipv4Routes, ...nic.ipv6Routes].flatMap(({ text }) => parsePrefix(text) ?? []);

/** A policy's routes go with the first routed NIC. */
function allRoutes(endpoint: Endpoint, container: Container, { policies }: Assembled): string[] {
  const isFirst = container.endpoints.find(({ attachment }) => attachment === undefined) === endpoint;
  const fromPolicy = isFirst ? (policies.get(container.id)?.enforced.routes ?? []) : [];
  const addresses = new Set(endpoint.addresses.map(hostPrefix));
  const all = claimedPrefixes(
    endpoint,
    fromPolicy.map(({ prefix }) => prefix),
  );
  return all.filter((prefix) => !addresses.has(prefix));
}

function gatewayText(gateway: LxcGateway | null, family: Family, nic: LxcNic, { network }: Assembled): string[] {
  switch (gateway?.kind) {
    case undefined:
      return [];
    case 'address':
      return [parseAddress(gateway.address) ?? gateway.address];
    case 'dev':
      return ['dev'];
    case 'auto':
      return [(nic.link === undefined ? undefined : primaryAddress(network, nic.link, family)) ?? 'auto'];
  }
}
