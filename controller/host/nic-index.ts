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
import { changedKeys } from '../../render/shared-map.ts';

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
type Nics = DesiredState['nics'];

/** One for the state that was asked about last; of thousands of NICs, the next one has the same but for a few. */
const tables: Record<Family, Map<number, ByNetwork>> = { 4: new Map(), 6: new Map() };
/** How many NICs have each. */
const gateways = new Map<Address, number>();
let followed: Nics = new Map();

/** Answers for this state, whichever was asked about meanwhile. */
export function nicIndexOf({ nics }: DesiredState): NicIndex {
  return {
    ownerOf: (address) => {
      follow(nics);
      return find(address, tables[familyOf(address)]);
    },
    get gateways() {
      follow(nics);
      return new Set(gateways.keys());
    },
  };
}

function follow(nics: Nics): void {
  if (followed === nics) return;
  const changed = changedKeys(followed, nics);
  // Removed first: a prefix that one NIC gave up may be another's now.
  for (const key of changed) note(key, followed.get(key), remove);
  for (const key of changed) note(key, nics.get(key), add);
  followed = nics;
}

type Note = (networks: ByNetwork, network: bigint, owner: OwnerNic) => void;
const add: Note = (networks, network, owner) => void networks.set(network, owner);
const remove: Note = (networks, network, { key }) => {
  if (networks.get(network)?.key === key) networks.delete(network);
};

function note(key: string, nic: NicState | undefined, how: Note): void {
  if (nic === undefined) return;
  for (const prefix of nic.owned) {
    const length = prefixLength(prefix);
    const table = tables[familyOf(prefix)];
    const networks = table.get(length) ?? new Map<bigint, OwnerNic>();
    table.set(length, networks);
    how(networks, addressNumber(networkOf(prefix)), { key, nic, length });
  }
  for (const { address } of nic.gateways) {
    const count = (gateways.get(address) ?? 0) + (how === add ? 1 : -1);
    if (count > 0) gateways.set(address, count);
    else gateways.delete(address);
  }
}

function find(address: Address, byLength: ReadonlyMap<number, ByNetwork>): OwnerNic | undefined {
  const number = addressNumber(address);
  const bits = bitsOf(familyOf(address));
  let longest: OwnerNic | undefined;
  for (const [length, networks] of byLength) {
    if (longest !== undefined && longest.length > length) continue;
    const hostBits = BigInt(bits - length);
    longest = networks.get((number >> hostBits) << hostBits) ?? longest;
  }
  return longest;
}
