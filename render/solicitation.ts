/** The Ethernet frames that ask an uplink's neighbours whether one of them has an address: an ARP request, and an NS. */
import { type Address, familyOf } from './address.ts';
import { addressBytes, arpFrame, discoveryFrame, macBytes } from './ethernet.ts';

/** Who asks: an interface with its MAC, and its own addresses, where it has some. */
export interface Asker {
  readonly mac: string;
  /** On the same link as the address in question. */
  readonly ipv4: Address | undefined;
  readonly linkLocal: Address | undefined;
}

/**
 * An ordinary question, not the probe without a sender's address of RFC 5227: Linux answers that one for its own
 * addresses alone, and not for those that it proxies, as another host with containers does.
 */
export function renderSolicitation(address: Address, { mac, ipv4, linkLocal }: Asker): Uint8Array {
  const own = macBytes(mac);
  const target = addressBytes(address);
  if (familyOf(address) === 4) {
    const source = ipv4 === undefined ? new Uint8Array(4) : addressBytes(ipv4);
    return arpFrame(1, { mac: own, address: source }, { mac: new Uint8Array(6), address: target });
  }
  const group = Uint8Array.from([...addressBytes('ff02::1:ff00:0' as Address).subarray(0, 13), ...target.subarray(13)]);
  const message = [135, 0, 0, 0, 0, 0, 0, 0, ...target];
  // From `::` it asks as duplicate address detection does, and must not say where the answer goes (RFC 4861 4.3).
  return linkLocal === undefined
    ? discoveryFrame(own, new Uint8Array(16), group, message)
    : discoveryFrame(own, addressBytes(linkLocal), group, [...message, 1, 1, ...own]);
}
