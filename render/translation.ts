/** The nouns of address translation: what of a container's packets gets another address or port. */
import type { Address, Family } from './address.ts';
import type { Origin, PortRange } from './rule.ts';

/** The address that packets leave an uplink with: that uplink's own, or a given one. */
export type MasqueradeAs = { readonly kind: 'uplink' } | { readonly kind: 'address'; readonly address: Address };

export type Masquerade = Partial<Readonly<Record<Family, MasqueradeAs>>>;

/** TCP, UDP or SCTP. */
export type PortedProtocol = 6 | 17 | 132;

/** Ports of an address of this host that lead to as many of a container's. */
export interface Publication {
  readonly protocol: PortedProtocol;
  readonly on: Address;
  readonly ports: PortRange;
  /** The container's own address, of the same family. */
  readonly to: Address;
  /** The first of its ports. */
  readonly toPort: number;
  readonly origin: Origin;
}

/** The translations of one NIC. */
export interface NicNat {
  readonly masquerade: Masquerade;
  readonly publications: readonly Publication[];
}
