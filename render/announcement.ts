/** The Ethernet frames that tell an uplink's neighbours where an address is now: gratuitous ARP and unsolicited NA. */
import { type Address, familyOf } from './address.ts';
import { addressBytes, arpFrame, BROADCAST, discoveryFrame, macBytes } from './ethernet.ts';

/** Who speaks: an interface with its MAC (`02:00:00:00:00:01`) and its IPv6 link-local address. */
export interface Announcer {
  readonly mac: string;
  readonly linkLocal: Address | undefined;
}

/**
 * One frame, or `undefined` for an IPv6 address on an uplink that has no link-local address to speak from
 * (RFC 4861 4.4 wants a unicast source).
 */
export function renderAnnouncement(address: Address, { mac, linkLocal }: Announcer): Uint8Array | undefined {
  if (familyOf(address) === 4) return arpReply(addressBytes(address), macBytes(mac));
  return linkLocal === undefined
    ? undefined
    : neighbourAdvertisement(addressBytes(address), addressBytes(linkLocal), macBytes(mac));
}

/** RFC 5227 section 3: sender and target are both the address that is announced. */
const arpReply = (address: Uint8Array, mac: Uint8Array): Uint8Array =>
  arpFrame(2, { mac, address }, { mac: BROADCAST, address });

/** To all nodes, with the router and override flags: a neighbour replaces what it has cached (RFC 4861 7.2.6). */
function neighbourAdvertisement(target: Uint8Array, source: Uint8Array, mac: Uint8Array): Uint8Array {
  const allNodes = addressBytes('ff02::1' as Address);
  return discoveryFrame(mac, source, allNodes, [136, 0, 0, 0, 0xa0, 0, 0, 0, ...target, 2, 1, ...mac]);
}
