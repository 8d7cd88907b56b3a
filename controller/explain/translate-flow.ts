/** What address translation makes of a flow's first packet, without a kernel. */
import type { HostNetwork } from '../../policies/host-network.ts';
import type { Packet } from '../../policies/model.ts';
import { type Address, addressNumber, type Family, familyOf, type Prefix, prefixOf } from '../../render/address.ts';
import type { DesiredState, NicState } from '../../render/desired.ts';
import type { Origin } from '../../render/rule.ts';
import type { Publication } from '../../render/translation.ts';
import type { FlowHost, Side } from './flow-sides.ts';

export interface Published {
  readonly key: string;
  readonly nic: NicState;
  readonly publication: Publication;
  /** The container's own port. */
  readonly port: number;
}

type Target = Pick<Published, 'key' | 'nic' | 'publication'>;

const indexes = new WeakMap<DesiredState['nics'], ReadonlyMap<string, readonly Target[]>>();

/** Built once for each state. */
function targetsOf({ nics }: DesiredState): ReadonlyMap<string, readonly Target[]> {
  const known = indexes.get(nics);
  if (known !== undefined) return known;
  const targets = new Map<string, Target[]>();
  for (const [key, nic] of nics) {
    for (const publication of nic.nat?.publications ?? []) {
      const place = `${publication.protocol} ${publication.on}`;
      targets.set(place, [...(targets.get(place) ?? []), { key, nic, publication }]);
    }
  }
  indexes.set(nics, targets);
  return targets;
}

/** Where a packet to an address of the host is led instead; `undefined` where it stays. */
export function findPublished(desired: DesiredState, { protocol, destination, port }: Packet): Published | undefined {
  if (port === undefined) return undefined;
  const targets = targetsOf(desired).get(`${protocol} ${destination}`) ?? [];
  const target = targets.find(({ publication: { ports } }) => ports.first <= port && port <= ports.last);
  if (target === undefined) return undefined;
  const { ports, toPort } = target.publication;
  return { ...target, port: port - ports.first + toPort };
}

/** The ports of the host that lead to this port of the container, each as an address and a port. */
export function publishedAs(
  nic: NicState,
  { protocol, destination, port }: Packet,
): { readonly on: Address; readonly port: number; readonly origin: Origin }[] {
  return (nic.nat?.publications ?? []).flatMap(({ protocol: own, on, ports, to, toPort, origin }) => {
    const place = (port ?? 0) - toPort + ports.first;
    const leads = own === protocol && to === destination && place >= ports.first && place <= ports.last;
    return leads ? [{ on, port: place, origin }] : [];
  });
}

/** What the packet leaves with; `address` is `undefined` where several uplinks might be the way. */
export function findMasquerade(
  { desired, network }: FlowHost,
  { from, to, family }: { readonly from: Side; readonly to: Side; readonly family: Family },
): { readonly address: Address | undefined } | undefined {
  if (from.kind !== 'nic' || to.kind !== 'outside') return undefined;
  const as = from.nic.nat?.masquerade[family];
  const uplinks = desired.host.masqueradeUplinks ?? [];
  if (as === undefined || (to.link !== undefined && !uplinks.some((name) => name === to.link))) return undefined;
  if (as.kind === 'address') return { address: as.address };
  const link = to.link ?? from.nic.uplink?.dev;
  const links = link === undefined ? uplinks : [link];
  const [only, ...more] = links.flatMap((link) => candidatesOn(network, link, family));
  return { address: more.length === 0 ? only : undefined };
}

/** IPv4 takes the first address of a network of the link's, by the next hop; of IPv6's, which is the kernel's choice. */
function candidatesOn({ links }: HostNetwork, link: string, family: Family): Address[] {
  const all = (links.get(link)?.addresses ?? []).filter(
    ({ address, scope }) => scope === 'global' && familyOf(address) === family,
  );
  if (family === 6) return all.map(({ address }) => address);
  const networks = new Map<Prefix, Address>();
  for (const { address, prefixLength: length } of all) {
    const network = prefixOf(addressNumber(address), length, 4);
    networks.set(network, networks.get(network) ?? address);
  }
  return [...networks.values()];
}

/** As the rules see it. */
export function translated<T extends Packet>(packet: T, published: Published | undefined): T {
  return published === undefined ? packet : { ...packet, destination: published.publication.to, port: published.port };
}
