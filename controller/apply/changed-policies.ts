/** NICs whose rules changed, and NICs whose live connections are to be judged anew. */
import type { Prefix } from '../../render/address.ts';
import { changedNics } from '../../render/changed-nics.ts';
import type { DesiredState, NicState } from '../../render/desired.ts';
import type { DnsAddresses, DnsName } from '../../render/dns-name.ts';
import { changedNames } from '../../render/dns-sets.ts';
import { dnsNamesOf } from '../../render/policy-chain.ts';
import { nameOf } from './apply.ts';

/** Keys of the NICs that had rules before and have others now. */
export const changedPolicies = (before: DesiredState, after: DesiredState): string[] =>
  changedNics(before, after).flatMap(({ key, old, now }) =>
    old !== undefined && now !== undefined && isOtherwise(old, now) ? key : [],
  );

/** Keys of the NICs whose rules may allow less than before; without a state before, of all. */
export function policiesToJudge(before: DesiredState | undefined, after: DesiredState): string[] {
  if (before === undefined || before.host.lan.join() !== after.host.lan.join()) return [...after.nics.keys()];
  const changed = changedPolicies(before, after);
  const shrunk = shrunkNames(before.dns, after.dns);
  if (shrunk.size === 0) return changed;
  return [...new Set([...changed, ...[...after.nics].flatMap(([key, nic]) => (means(nic, shrunk) ? [key] : []))])];
}

/** What NICs own and did not before: while nobody had it, others may have talked across this host with who pretended to. */
export function newlyOwned(before: DesiredState, after: DesiredState): ReadonlyMap<string, Prefix[]> {
  const come = new Map<string, Prefix[]>();
  for (const { key, old, now } of changedNics(before, after)) {
    if (now === undefined || old?.owned === now.owned) continue;
    const owned = now.owned.filter((prefix) => old?.owned.includes(prefix) !== true);
    if (owned.length > 0) come.set(key, owned);
  }
  return come;
}

const isOtherwise = (old: NicState, now: NicState): boolean =>
  nameOf(old.egress) !== nameOf(now.egress) || nameOf(old.ingress) !== nameOf(now.ingress);

const means = ({ egress, ingress }: NicState, names: ReadonlySet<DnsName>): boolean =>
  [egress, ingress].some((chain) => dnsNamesOf(chain).some((name) => names.has(name)));

const shrunkNames = (before: DnsAddresses, after: DnsAddresses): ReadonlySet<DnsName> =>
  new Set(
    changedNames(before, after).filter((name) =>
      before.get(name)?.some((address) => after.get(name)?.includes(address) !== true),
    ),
  );
