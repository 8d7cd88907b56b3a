/** NICs whose rules changed, and NICs whose live connections are to be judged anew. */
import { changedNicKeys } from '../../render/changed-nics.ts';
import type { DesiredState, NicState } from '../../render/desired.ts';
import type { DnsAddresses, DnsName } from '../../render/dns-name.ts';
import { changedNames } from '../../render/dns-sets.ts';
import { dnsNamesOf } from '../../render/policy-chain.ts';
import { nameOf } from './apply.ts';

/** Keys of the NICs that had rules before and have others now. */
export function changedPolicies(before: DesiredState, after: DesiredState): string[] {
  return changedNicKeys(before, after).filter((key) => {
    const [old, now] = [before.nics.get(key), after.nics.get(key)];
    return old !== undefined && now !== undefined && isOtherwise(old, now);
  });
}

/**
 * Keys of the NICs whose rules may allow less than before; without a state before, of all. Those that just got an address
 * too: while nobody had it, others may have talked across this host with someone who pretended to.
 */
export function policiesToJudge(before: DesiredState | undefined, after: DesiredState): string[] {
  if (before === undefined || before.host.lan.join() !== after.host.lan.join()) return [...after.nics.keys()];
  const changed = changedNicKeys(before, after).filter((key) => {
    const [old, now] = [before.nics.get(key), after.nics.get(key)];
    return now !== undefined && (old === undefined || isOtherwise(old, now) || hasMore(old, now));
  });
  const shrunk = shrunkNames(before.dns, after.dns);
  if (shrunk.size === 0) return changed;
  return [...new Set([...changed, ...[...after.nics].flatMap(([key, nic]) => (means(nic, shrunk) ? [key] : []))])];
}

const isOtherwise = (old: NicState, now: NicState): boolean =>
  nameOf(old.egress) !== nameOf(now.egress) || nameOf(old.ingress) !== nameOf(now.ingress);

const hasMore = (old: NicState, now: NicState): boolean => now.owned.some((prefix) => !old.owned.includes(prefix));

const means = ({ egress, ingress }: NicState, names: ReadonlySet<DnsName>): boolean =>
  [egress, ingress].some((chain) => dnsNamesOf(chain).some((name) => names.has(name)));

const shrunkNames = (before: DnsAddresses, after: DnsAddresses): ReadonlySet<DnsName> =>
  new Set(
    changedNames(before, after).filter((name) =>
      before.get(name)?.some((address) => after.get(name)?.includes(address) !== true),
    ),
  );
