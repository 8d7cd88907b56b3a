/** What of a policy's address translation one NIC carries, with the host's addresses as they are at this moment. */
import { type Address, type Family, familyOf, isHostPrefix, networkOf, type Prefix } from '../render/address.ts';
import type { Masquerade, NicNat, Publication } from '../render/translation.ts';
import { type CompiledNat, protocolName } from './compile-nat.ts';
import type { Endpoint } from './endpoint.ts';
import type { HostNetwork } from './host-network.ts';

/** A container's first routed NIC with an address of a family carries what is published in that family. */
export interface NatPlan {
  readonly policy: CompiledNat;
  readonly serves: readonly Family[];
}

/** `undefined` for a NIC that carries nothing. */
export function planNat(
  policy: CompiledNat | undefined,
  endpoint: Endpoint,
  endpoints: readonly Endpoint[],
): NatPlan | undefined {
  if (policy === undefined) return undefined;
  const serves = ([4, 6] as const).filter((family) => endpoints.find(hasFamily(family)) === endpoint);
  return { policy, serves };
}

const hasFamily =
  (family: Family) =>
  ({ addresses }: Endpoint): boolean =>
    addresses.some((address) => familyOf(address) === family);

/** Each address that others reach the host by, once. */
function uplinkAddresses({ uplinks, links }: HostNetwork): Address[] {
  const found = uplinks.flatMap((name) =>
    (links.get(name)?.addresses ?? []).flatMap(({ address, scope }) => (scope === 'global' ? [address] : [])),
  );
  return [...new Set(found)];
}

/** One for each address of the host, whoever else publishes it too. What the host hasn't is published nowhere. */
export function publicationsOf(
  { policy, serves }: NatPlan,
  prefixes: readonly Prefix[],
  network: HostNetwork,
): Publication[] {
  const targets = new Map(
    serves.flatMap((family) => {
      const own = prefixes.find((prefix) => isHostPrefix(prefix) && familyOf(prefix) === family);
      return own === undefined ? [] : [[family, networkOf(own)] as const];
    }),
  );
  const everywhere = uplinkAddresses(network);
  return policy.publications.flatMap(({ on, protocol, ports, toPort, origin }) =>
    (on === 'uplinks' ? everywhere : on.filter((address) => network.addresses.has(address))).flatMap((address) => {
      const to = targets.get(familyOf(address));
      return to === undefined ? [] : [{ protocol, on: address, ports, to, toPort, origin }];
    }),
  );
}

/** Tells one publication of a NIC from its others. */
export const publicationKey = ({ protocol, on, ports }: Publication): string =>
  `${protocol} ${on} ${ports.first}-${ports.last}`;

/** As nft lists the element of its first port. */
export const heldPublication = ({ protocol, on, ports, to, toPort }: Publication): string =>
  `${protocolName(protocol)} . ${on} . ${ports.first} : ${to} . ${toPort}`;

/** `lost`: keys of publications that others have; `refused`: addresses that packets can't be given. */
export function compileNicNat(
  plan: NatPlan,
  prefixes: readonly Prefix[],
  network: HostNetwork,
  { lost, refused }: LostTranslations,
): NicNat | undefined {
  const publications = publicationsOf(plan, prefixes, network).filter((one) => !lost.has(publicationKey(one)));
  const masquerade = masqueradeOf(plan, prefixes, refused);
  return publications.length === 0 && Object.keys(masquerade).length === 0 ? undefined : { masquerade, publications };
}

export interface LostTranslations {
  readonly lost: ReadonlySet<string>;
  readonly refused: ReadonlySet<Address>;
}

export const NOTHING_LOST: LostTranslations = { lost: new Set(), refused: new Set() };

export const sameLost = (a: LostTranslations, b: LostTranslations): boolean =>
  [...a.lost].join() === [...b.lost].join() && [...a.refused].join() === [...b.refused].join();

function masqueradeOf({ policy }: NatPlan, prefixes: readonly Prefix[], refused: ReadonlySet<Address>): Masquerade {
  const families = new Set(prefixes.map(familyOf));
  const parts = ([4, 6] as const).flatMap((family) => {
    const as = policy.masquerade[family];
    const isOut = as === undefined || !families.has(family) || (as.kind === 'address' && refused.has(as.address));
    return isOut ? [] : [[family, as] as const];
  });
  return Object.fromEntries(parts);
}
