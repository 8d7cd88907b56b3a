/** Addresses that somebody else answers for on an uplink's link: no container gets them while that is so. */
import { type Address, contains, isHostPrefix, networkOf, type Prefix, rangeOf } from '../render/address.ts';
import type { InterfaceName } from '../render/names.ts';

export interface Holder {
  readonly dev: InterfaceName;
  /** Whose answer it was: `02:00:00:00:00:01`. */
  readonly mac: string;
}

/** The same object while nothing changed. */
export type TakenAddresses = ReadonlyMap<Address, Holder>;

/** Why a container doesn't get the prefix; `undefined` where nobody else has any address of it. */
export function whyTaken(prefix: Prefix, taken: TakenAddresses): string | undefined {
  if (taken.size === 0) return undefined;
  const range = rangeOf(prefix);
  const found = [...taken].find(([address]) => contains(range, address));
  if (found === undefined) return undefined;
  const [address, { dev, mac }] = found;
  const end = 'the container gets it within 10 s after that one has left, or give it another';
  return isHostPrefix(prefix) && networkOf(prefix) === address
    ? `is in use on ${dev} by ${mac}: ${end}`
    : `holds ${address}, which is in use on ${dev} by ${mac}: ${end}`;
}
