/** Tells the neighbours on an uplink's link that an address is here now: at once, and again a second later. */
import { type HostNetwork, linkLocalAddress } from '../../policies/host-network.ts';
import { renderAnnouncement } from '../../render/announcement.ts';
import type { NeighbourProxy } from '../../render/desired.ts';
import type { Announcer } from './announcer.ts';

const AGAIN_MS = 1_000;

/** A neighbour that just came up misses the first: RFC 5227 2.3 and RFC 4861 7.2.6 want more than one. */
export function announce(
  announcer: Announcer,
  proxies: readonly NeighbourProxy[],
  network: HostNetwork,
  heldFor: (address: string) => readonly NeighbourProxy[],
): void {
  if (proxies.length === 0) return;
  for (const proxy of proxies) announceOne(announcer, proxy, network);
  const again = (): void => {
    for (const proxy of proxies)
      if (heldFor(proxy.address).some(({ dev }) => dev === proxy.dev)) announceOne(announcer, proxy, network);
  };
  setTimeout(again, AGAIN_MS).unref();
}

function announceOne(announcer: Announcer, { address, dev }: NeighbourProxy, network: HostNetwork): void {
  const link = network.links.get(dev);
  // A proxied gateway is the container's own neighbour, and asks for itself.
  if (link === undefined || !network.uplinks.includes(dev)) return;
  const frame = renderAnnouncement(address, { mac: link.mac, linkLocal: linkLocalAddress(network, dev) });
  if (frame !== undefined) announcer.send(dev, frame);
}
