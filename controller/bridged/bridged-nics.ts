/** What a NIC on a bridge may send from: what its configuration says, and what was found out while it runs. */
import type { Attachment, Container, Endpoint } from '../../policies/endpoint.ts';
import type { HostLink } from '../../policies/host-network.ts';
import type { Problem } from '../../policies/problem.ts';
import { type Address, familyOf, parsePrefix } from '../../render/address.ts';
import { isLocallyAdministered, type Mac, parseMac, statelessAddress } from '../../render/mac.ts';
import { parseInterfaceName } from '../../render/names.ts';
import type { LxcNic } from '../../watchers/lxc-config/config.ts';
import { type Lease, leasedTo } from './leases.ts';

/** `undefined`: a link that nft can't carry, which has been told. */
export function describeAttachment(nic: LxcNic, problems: Problem[]): Attachment | undefined {
  const complain = (message: string) => problems.push({ ...nic.place, column: 1, message, severity: 'error' });
  const bridge = parseInterfaceName(nic.link ?? '');
  if (bridge === undefined) complain(`link ${JSON.stringify(nic.link)}: a name that nft can't carry; nothing passes`);
  const { hwaddr = '' } = nic;
  const mac = parseMac(hwaddr);
  if (mac === undefined && hwaddr !== '' && !isTemplate(hwaddr))
    complain(`hwaddr ${JSON.stringify(hwaddr)} is no hardware address of an interface; nothing passes`);
  for (const { text, place } of [...nic.ipv4Routes, ...nic.ipv6Routes])
    problems.push({
      ...place,
      column: 1,
      message: `${text}: no prefix is routed to a NIC on a bridge`,
      severity: 'warning',
    });
  if (bridge === undefined) return undefined;
  return { bridge, mac, isLeased: nic.ipv4Addresses.length === 0, ...(mac === undefined ? { hwaddr } : {}) };
}

const isTemplate = (hwaddr: string): boolean => /^[0-9a-fx]{2}(:[0-9a-fx]{2}){5}$/i.test(hwaddr) && /x/i.test(hwaddr);

/** Whether it is one that LXC or the kernel would have given it, and not what the container has set since. */
export function isGiven(mac: Mac, hwaddr: string): boolean {
  if (hwaddr === '') return isLocallyAdministered(mac);
  return isTemplate(hwaddr) && [...hwaddr.toLowerCase()].every((digit, at) => digit === 'x' || digit === mac[at]);
}

export interface Found {
  /** By endpoint key: the hardware addresses of what runs, as they were given. */
  readonly macs: ReadonlyMap<string, Mac>;
  /** By bridge; expired ones are left out. */
  readonly leases: ReadonlyMap<string, readonly Lease[]>;
  readonly links: readonly HostLink[];
  /** By bridge: a file of leases that can't be read. */
  readonly failures: ReadonlyMap<string, { readonly file: string; readonly message: string }>;
}

/** The same object where nothing was found. */
export function withFound(container: Container, found: Found): Container {
  if (!container.endpoints.some(({ attachment }) => attachment !== undefined)) return container;
  const endpoints = container.endpoints.map((endpoint) => {
    const { attachment } = endpoint;
    return attachment === undefined ? endpoint : complete(endpoint, attachment, found);
  });
  const problems = container.endpoints.flatMap(({ attachment }): Problem[] => {
    const failure = attachment?.isLeased === true ? found.failures.get(attachment.bridge) : undefined;
    return failure === undefined ? [] : [{ ...failure, line: 1, column: 1, severity: 'error' }];
  });
  return { ...container, endpoints, problems: [...container.problems, ...problems] };
}

function complete(endpoint: Endpoint, attachment: Attachment, { macs, leases, links }: Found): Endpoint {
  const seen = macs.get(endpoint.key);
  const mac = attachment.mac ?? seen;
  if (mac === undefined) return endpoint;
  const leased = leasedTo(mac, leases.get(attachment.bridge) ?? []);
  const lacks = (address: Address): boolean => !endpoint.addresses.some((own) => familyOf(own) === familyOf(address));
  const more = [
    ...leased,
    ...stateless(
      mac,
      links.find(({ name }) => name === attachment.bridge),
    ),
  ].filter(lacks);
  return { ...endpoint, addresses: [...new Set([...endpoint.addresses, ...more])], attachment: { ...attachment, mac } };
}

/** What a container makes of the host's router advertisements on the bridge. */
const stateless = (mac: Mac, bridge: HostLink | undefined): Address[] =>
  (bridge?.addresses ?? [])
    .filter(({ scope }) => scope === 'global')
    .flatMap(({ address, prefixLength }) => parsePrefix(`${address}/${prefixLength}`) ?? [])
    .flatMap((prefix) => statelessAddress(prefix, mac) ?? []);
