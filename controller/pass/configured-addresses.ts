/** What containers are called by and have, running or not. */
import { type AddressBook, createAddressBook } from '../../policies/address-book.ts';
import { claimedPrefixes } from '../../policies/compile-nic.ts';
import type { Container } from '../../policies/endpoint.ts';
import type { LoadedPolicies } from '../../policies/load-policies.ts';
import type { Policy } from '../../policies/policy.gen.ts';
import { type Prefix, parsePrefix } from '../../render/address.ts';
import type { DesiredState } from '../../render/desired.ts';
import { keepEqual, rememberLast } from '../remember.ts';

/** By container name; most have none. */
type PolicyRoutes = ReadonlyMap<string, readonly Prefix[]>;

/** The same book while neither containers nor the routes in policies change: most edits are of rules. */
export function createBooks(): (containers: readonly Container[], loaded: LoadedPolicies) => AddressBook {
  const steady = keepEqual((routes: PolicyRoutes) => JSON.stringify([...routes]));
  const routesIn = rememberLast(policyRoutes);
  const bookOf = rememberLast(buildBook);
  return (containers, loaded) => bookOf(containers, steady(routesIn(containers, loaded)));
}

/** Names resolve to what is configured, running or not, so that starts and stops change no one else's policy. */
function buildBook(containers: readonly Container[], routes: PolicyRoutes): AddressBook {
  const addresses = new Map<string, readonly Prefix[]>();
  const groups = new Map<string, Prefix[]>();
  for (const container of containers) {
    const prefixes = container.endpoints.flatMap((endpoint) => claimedPrefixes(endpoint, []));
    const own = [...(addresses.get(container.name) ?? []), ...prefixes, ...(routes.get(container.name) ?? [])];
    addresses.set(container.name, own);
    for (const group of container.groups) groups.set(group, [...(groups.get(group) ?? []), ...own]);
  }
  return createAddressBook(addresses, groups);
}

/** What it will own once it runs, but for the routes of its policy; nothing of the NICs that are enforced already. */
export const prefixesToCome = ({ endpoints }: Container, enforced: DesiredState | undefined): readonly Prefix[] =>
  endpoints.flatMap((endpoint) => (enforced?.nics.has(endpoint.key) === true ? [] : claimedPrefixes(endpoint, [])));

/** As written; a route that compilePolicy refuses makes the whole policy an error anyway. */
function policyRoutes(containers: readonly Container[], loaded: LoadedPolicies): PolicyRoutes {
  // Equal texts share what they are parsed to.
  const known = new Map<Policy, readonly Prefix[]>();
  const all = new Map<string, readonly Prefix[]>();
  for (const { name } of containers) {
    const policy = (loaded.containers.get(name) ?? loaded.defaultPolicy)?.policy;
    if (policy === undefined) continue;
    const routes = known.get(policy) ?? routesOf(policy, loaded);
    known.set(policy, routes);
    if (routes.length > 0) all.set(name, routes);
  }
  return all;
}

function routesOf(own: Policy, { profiles }: LoadedPolicies): Prefix[] {
  const used = [own.use ?? []].flat().flatMap((profile) => profiles.get(profile)?.policy ?? []);
  const texts = [own, ...used].flatMap(({ routes }) => [routes ?? []].flat());
  return texts.flatMap((text) => parsePrefix(text) ?? []);
}
