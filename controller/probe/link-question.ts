/** What the neighbours on an uplink's link are asked before an address is claimed there. */
import { type HostNetwork, linkLocalAddress } from '../../policies/host-network.ts';
import { contains, familyOf } from '../../render/address.ts';
import type { NeighbourProxy } from '../../render/desired.ts';
import { renderSolicitation } from '../../render/solicitation.ts';
import type { Question } from './ask-link.ts';

/** `undefined` where nobody can be asked, or nobody but the container: a proxied gateway stands on its own veth. */
export function linkQuestion({ address, dev }: NeighbourProxy, network: HostNetwork): Question | undefined {
  const link = network.links.get(dev);
  if (link === undefined || link.noArp || !network.uplinks.includes(dev)) return undefined;
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(link.mac)) return undefined;
  const near = network.onLink.filter((prefix) => prefix.dev === dev && contains(prefix.range, address));
  const ipv4 = link.addresses.find((own) => near.some(({ range }) => contains(range, own.address)))?.address;
  const asker = { mac: link.mac, ipv4, linkLocal: linkLocalAddress(network, dev) };
  return {
    address,
    dev,
    frame: renderSolicitation(address, familyOf(address) === 4 ? asker : { ...asker, ipv4: undefined }),
  };
}

/** By another interface of this host, on the same link. */
export const isOwnAnswer = (mac: string, { links }: HostNetwork): boolean =>
  [...links.values()].some((link) => link.mac === mac);
