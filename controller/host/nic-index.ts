/** Which NIC an address is routed to, by longest prefix, as the kernel's routes and the owned sets have it. */
import {
  type Address,
  addressNumber,
  bitsOf,
  type Family,
  familyOf,
  networkOf,
  prefixLength,
} from '../../render/address.ts';
import type { DesiredState, NicState } from '../../render/desired.ts';

interface OwnerNic {
  /** `LXCPATH/CONTAINER/INDEX` */
  readonly key: string;
  readonly nic: NicState;
  /** Of the prefix that holds the address. */
  readonly length: number;
}

export interface NicIndex {
  ownerOf(address: Address): OwnerNic | undefined;
  /** The gateway addresses on host-side veths, which are the host's. */
  readonly gateways: ReadonlySet<Address>;
}

type ByNetwork = Map<bigint, OwnerNic>;

const indexes = new WeakMap<DesiredState['nics'], NicIndex>();

/** Built once for each state. */
export function nicIndexOf({ nics }: DesiredState): NicIndex {
  const known = indexes.get(nics);
  if (known !== undefined) return known;
  const index = buildIndex(nics);
  indexes.set(nics, index);
  return index;
}

function buildIndex(nics: DesiredState['nics']): NicIndex {
  const tables: Record<Family, Map<number, ByNetwork>> = { 4: new Map(), 6: new Map() };
  for (const [key, nic] of nics) {
    for (const prefix of nic.owned) {
      const length = prefixLength(prefix);
      const table = tables[familyOf(prefix)];
      const networks = table.get(length) ?? new Map<bigint, OwnerNic>();
      table.set(length, networks.set(addressNumber(networkOf(prefix)), { key, nic, length }));
    }
  }
  const lengths = { 4: longestFirst(tables[4]), 6: longestFirst(tables[6]) };
  const gateways = new Set([...nics.values()].flatMap((nic) => nic.gateways.map(({ address }) => address)));
  return { ownerOf: (address) => find(address, lengths[familyOf(address)]), gateways };
}

const longestFirst = (table: Map<number, ByNetwork>): [number, ByNetwork][] => [...table].sort(([a], [b]) => b - a);

function find(address: Address, tables: readonly [number, ByNetwork][]): OwnerNic | undefined {
  const number = addressNumber(address);
  const bits = bitsOf(familyOf(address));
  for (const [length, networks] of tables) {
    const hostBits = BigInt(bits - length);
    const owner = networks.get((number >> hostBits) << hostBits);
    if (owner !== undefined) return owner;
  }
  return undefined;
}
