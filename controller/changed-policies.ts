/** Whose live connections are to be judged anew. */
import type { DesiredState, NicState } from '../render/desired.ts';
import type { DnsAddresses, DnsName } from '../render/dns-name.ts';
import { changedNames } from '../render/dns-sets.ts';
import { dnsNamesOf } from '../render/policy-chain.ts';
import { nameOf } from './apply.ts';

/**
 * Keys of the NICs whose rules are others than before, or mean names that lost an address. A NIC that just started has
 * no connections of its own yet; without a state before, all are asked about.
 */
export function changedPolicies(before: DesiredState | undefined, after: DesiredState): string[] {
  if (before === undefined) return [...after.nics.keys()];
  const shrunk = shrunkNames(before.dns, after.dns);
  return [...after.nics].flatMap(([key, nic]) => {
    const old = before.nics.get(key);
    return old !== undefined && (isOtherwise(old, nic) || means(nic, shrunk)) ? [key] : [];
  });
}

const isOtherwise = (old: NicState, nic: NicState): boolean =>
  old !== nic && (nameOf(old.egress) !== nameOf(nic.egress) || nameOf(old.ingress) !== nameOf(nic.ingress));

const means = ({ egress, ingress }: NicState, names: ReadonlySet<DnsName>): boolean =>
  names.size > 0 && [egress, ingress].some((chain) => dnsNamesOf(chain).some((name) => names.has(name)));

const shrunkNames = (before: DnsAddresses, after: DnsAddresses): ReadonlySet<DnsName> =>
  new Set(
    changedNames(before, after).filter((name) =>
      before.get(name)?.some((address) => after.get(name)?.includes(address) !== true),
    ),
  );
