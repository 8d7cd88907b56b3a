/** What containers are called by and have, running or not. */
import { type AddressBook, createAddressBook } from '../../policies/address-book.ts';
import { changedContainers } from '../../policies/changed-containers.ts';
import { claimedPrefixes } from '../../policies/compile-nic.ts';
import type { Container } from '../../policies/endpoint.ts';
import type { LoadedPolicies } from '../../policies/load-policies.ts';
import type { Policy } from '../../policies/policy.gen.ts';
import { type Prefix, parsePrefix } from '../../render/address.ts';
import type { DesiredState } from '../../render/desired.ts';
import { changeMap } from '../../render/shared-map.ts';
import { keepEqual, rememberLast } from '../remember.ts';

/** By container name; most have none. */
type PolicyRoutes = ReadonlyMap<string, readonly Prefix[]>;

/** The same book while neither containers nor the routes in policies change: most edits are of rules. */
export function createBooks(): (containers: readonly Container[], loaded: LoadedPolicies) => AddressBook {
  const steady = keepEqual((routes: PolicyRoutes) => JSON.stringify([...routes]));
  const routesIn = rememberLast(policyRoutes);
  let last: Entries | undefined;
  const bookOf = rememberLast((containers: readonly Container[], routes: PolicyRoutes) => {
    last = last === undefined ? allEntries(containers, routes) : changeEntries(last, containers, routes);
    return createAddressBook(last.addresses, last.groups);
  });
  return (containers, loaded) => bookOf(containers, steady(routesIn(containers, loaded)));
}

/** Names resolve to what is configured, running or not, so that starts and stops change no one else's policy. */
interface Entries {
  readonly containers: readonly Container[];
  readonly routes: PolicyRoutes;
  readonly addresses: ReadonlyMap<string, readonly Prefix[]>;
  readonly groups: ReadonlyMap<string, readonly Prefix[]>;
}

function allEntries(containers: readonly Container[], routes: PolicyRoutes): Entries {
  const addresses = new Map<string, readonly Prefix[]>();
  const groups = new Map<string, Prefix[]>();
  for (const container of containers) {
    const { name } = container;
    const own = ownOf(container, routes);
    const namesake = addresses.get(name);
    addresses.set(name, namesake === undefined ? own : [...namesake, ...own]);
    for (const group of container.groups) groups.set(group, [...(groups.get(group) ?? []), ...own]);
  }
  return { containers, routes, addresses, groups };
}

function ownOf({ name, endpoints }: Container, routes: PolicyRoutes): readonly Prefix[] {
  const [first, ...others] = endpoints;
  const routed = routes.get(name);
  if (first !== undefined && others.length === 0 && routed === undefined) return claimedPrefixes(first, []);
  return [...endpoints.flatMap((endpoint) => claimedPrefixes(endpoint, [])), ...(routed ?? [])];
}

/** The same, where only what the changes name is looked up again. */
function changeEntries(before: Entries, containers: readonly Container[], routes: PolicyRoutes): Entries {
  const { gone, come } = changedContainers(before.containers, containers);
  const rerouted = new Set(before.routes === routes ? [] : [...before.routes.keys(), ...routes.keys()]);
  const names = new Set([...gone, ...come].map(({ name }) => name).concat(...rerouted));
  const moved = [...gone, ...come, ...(rerouted.size === 0 ? [] : containers.filter(({ name }) => rerouted.has(name)))];
  const groups = new Set(moved.flatMap((container) => container.groups));
  const concerned = containers.filter((one) => names.has(one.name) || one.groups.some((group) => groups.has(group)));
  const fresh = allEntries(concerned, routes);
  return {
    ...{ containers, routes },
    addresses: changeMap(before.addresses, changesIn(names, before.addresses, fresh.addresses)),
    groups: changeMap(before.groups, changesIn(groups, before.groups, fresh.groups)),
  };
}

/** What says the same stays the same list. */
const changesIn = (
  names: Iterable<string>,
  before: Entries['addresses'],
  fresh: Entries['addresses'],
): [string, readonly Prefix[] | undefined][] =>
  [...names].flatMap((name) => {
    const [old, now] = [before.get(name), fresh.get(name)];
    return old === now || (old !== undefined && now !== undefined && old.join() === now.join()) ? [] : [[name, now]];
  });

/** What it will own once it runs, but for the routes of its policy; nothing of the NICs that are enforced already. */
export const prefixesToCome = ({ endpoints }: Container, enforced: DesiredState | undefined): readonly Prefix[] =>
  endpoints.flatMap((endpoint) => (enforced?.nics.has(endpoint.key) === true ? [] : claimedPrefixes(endpoint, [])));

/** As written; a route that compilePolicy refuses makes the whole policy an error anyway. */
function policyRoutes(containers: readonly Container[], loaded: LoadedPolicies): PolicyRoutes {
  if (!mayRoute(loaded)) return NO_ROUTES;
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

const NO_ROUTES: PolicyRoutes = new Map();

/** Most hosts' policies have none, and then nobody is looked up. */
function mayRoute({ containers, profiles, defaultPolicy }: LoadedPolicies): boolean {
  if (defaultPolicy?.policy.routes !== undefined) return true;
  for (const { policy } of profiles.values()) if (policy.routes !== undefined) return true;
  for (const { policy } of containers.values()) if (policy.routes !== undefined) return true;
  return false;
}

function routesOf(own: Policy, { profiles }: LoadedPolicies): Prefix[] {
  const used = [own.use ?? []].flat().flatMap((profile) => profiles.get(profile)?.policy ?? []);
  const texts = [own, ...used].flatMap(({ routes }) => [routes ?? []].flat());
  return texts.flatMap((text) => parsePrefix(text) ?? []);
}
