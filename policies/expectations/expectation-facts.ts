/** What expectations need to know of the host: nothing that a container's start or an answer of DNS changes. */
import { type AddressRange, type Family, hostPrefix, type Prefix, parseRange } from '../../render/address.ts';
import { type AddressBook, type FamilyRanges, rangesOfPrefixes } from '../address-book.ts';
import type { Container } from '../endpoint.ts';
import { subtractRanges, uniteAddresses } from '../flows/address-ranges.ts';
import { type HostAddresses, internetOf } from '../flows/peer-addresses.ts';
import { type HostNetwork, onLinkDevice } from '../host-network.ts';

export interface ExpectationFacts {
  /** Without answers of DNS: a name is no address here, see flows/peer-addresses.ts. */
  readonly addresses: HostAddresses;
  /** What names may mean besides the internet. */
  readonly accept: FamilyRanges;
}

/** What a name may ever come to mean. */
export const nameable = ({ addresses, accept }: ExpectationFacts): FamilyRanges =>
  uniteAddresses(internetOf(addresses), accept);

export interface FactSources {
  readonly network: HostNetwork;
  readonly containers: readonly Container[];
  readonly book: AddressBook;
  /** `dns.accept` of the configuration. */
  readonly accept: readonly Prefix[];
}

/** Gateways count as the host's whether their containers run or not; what is link-local to a veth isn't known before. */
export function expectationFacts({ network, containers, book, accept }: FactSources): ExpectationFacts {
  const gateways = containers.flatMap(({ endpoints }) =>
    endpoints.flatMap((endpoint) =>
      endpoint.gateways.flatMap((gateway) =>
        gateway.kind === 'address' && onLinkDevice(network, gateway.address) === undefined ? [gateway.address] : [],
      ),
    ),
  );
  const addresses: HostAddresses = {
    host: rangesOfPrefixes([...new Set([...network.addresses, ...gateways])].map(hostPrefix)),
    lan: rangesOfPrefixes(network.onLink.map(({ prefix }) => prefix)),
    containers: rangesOfPrefixes([...book.containerNames()].flatMap((name) => book.container(name) ?? [])),
    dns: new Map(),
  };
  return { addresses, accept: rangesOfPrefixes(accept) };
}

/** Equal for equal facts, as far as they are not the book's or the containers'. */
export const networkKey = ({ addresses, onLink }: HostNetwork): string =>
  [[...addresses].sort(), onLink.map(({ prefix }) => prefix).sort()].join(' ');

const range = (text: string): AddressRange[] => [parseRange(text) ?? []].flat();

const without = (whole: string, ...parts: readonly string[]): AddressRange[] =>
  subtractRanges(range(whole), parts.flatMap(range));

/** No packet is routed from or to the rest, whatever rules say: an example there would teach nobody anything. */
export const routable: Readonly<Record<Family, readonly AddressRange[]>> = {
  4: without('0.0.0.0/0', '0.0.0.0/8', '127.0.0.0/8'),
  6: without('::/0', '::/127'),
};
