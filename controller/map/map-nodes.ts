/** The nodes of the map: containers that nobody can tell apart by what they may do are one of them. */
import { chainHash } from '../../policies/chain-hash.ts';
import type { Container } from '../../policies/endpoint.ts';
import type { LoadedPolicies } from '../../policies/load-policies.ts';
import { rangesContain } from '../../policies/model.ts';
import { type AddressRange, addressNumber, contains, type Family, rangeOf } from '../../render/address.ts';
import { findTarget } from '../explain/flow-parties.ts';
import { isSealed, type PanicState } from '../panic/panic-state.ts';
import type { Assembled } from '../pass/assemble.ts';
import type { PolicyStatus } from '../pass/policy-status.ts';
import { matchedRanges, outsidePeers } from './outside-peers.ts';
import type { End } from './service-set.ts';

export interface MapNode {
  /** Such as `container:web`, `host`, `lan`, `internet`, `set:mirrors` or `192.0.2.0/24`. */
  readonly id: string;
  readonly kind: 'containers' | 'host' | 'outside';
  /** Names of containers, sorted; empty for what is none. */
  readonly members: readonly string[];
  /** The first lxc.group of its containers. */
  readonly group: string | null;
  /** All containers of the group are here. */
  readonly isWholeGroup: boolean;
  /** The larger peer outside whose part this is. */
  readonly within: 'lan' | 'internet' | null;
  /** Of its containers' policies. */
  readonly policy: PolicyStatus | null;
  /** By a panic: whatever its policy says, nothing passes. */
  readonly sealed: boolean;
  /** Each member's address and side by family; for what is no container there is one. */
  readonly ends: readonly ReadonlyMap<Family, End>[];
}

export interface MapHost extends Pick<Assembled, 'desired' | 'policies' | 'network'> {
  readonly containers: readonly Container[];
  readonly loaded: LoadedPolicies;
  readonly panic: PanicState;
}

/** `apart`: containers that get a node of their own. Containers without a routed NIC have none. */
export function mapNodes(host: MapHost, apart: ReadonlySet<string>): MapNode[] {
  const lists = matchedRanges(host.desired);
  const classes = new Map<string, Member[]>();
  const members = membersOf(host);
  for (const member of members) {
    const key = apart.has(member.name) ? `apart ${member.name}` : signature(host, member, lists);
    classes.set(key, [...(classes.get(key) ?? []), member]);
  }
  const sizes = new Map<string | null, number>();
  for (const { group } of members) sizes.set(group, (sizes.get(group) ?? 0) + 1);
  const containers = [...classes.values()].map((one) => nodeOf(one, sizes)).sort((a, b) => (a.id < b.id ? -1 : 1));
  const outside = outsidePeers(host, lists, host.loaded).map(
    ({ label, within, ends }): MapNode => ({ ...NOBODY, id: label, kind: 'outside', within, ends: [ends] }),
  );
  return [...containers, hostNode(host), ...outside];
}

const NOBODY = { members: [], group: null, isWholeGroup: false, within: null, policy: null, sealed: false } as const;

interface Member {
  readonly name: string;
  readonly group: string | null;
  readonly policy: PolicyStatus;
  readonly sealed: boolean;
  readonly ends: ReadonlyMap<Family, End>;
}

function membersOf(host: MapHost): Member[] {
  const seen = new Set<string>();
  return [...host.containers]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .flatMap(({ id, name, groups, endpoints }) => {
      if (endpoints.length === 0 || seen.has(name)) return [];
      seen.add(name);
      const policy = host.policies.get(id)?.status ?? 'closed';
      const sealed = isSealed(host.panic, name);
      return [{ name, group: groups[0] ?? null, policy, sealed, ends: endsOf(host, { kind: 'container', name }) }];
    });
}

function endsOf(host: MapHost, party: Parameters<typeof findTarget>[1]): Map<Family, End> {
  const ends = new Map<Family, End>();
  for (const family of [4, 6] as const) {
    const { address, side } = findTarget(host, party, family);
    if (address !== undefined && side !== undefined) ends.set(family, { address, side });
  }
  return ends;
}

const hostNode = (host: MapHost): MapNode => ({
  ...NOBODY,
  id: 'host',
  kind: 'host',
  ends: [endsOf(host, { kind: 'host' })],
});

/** All that any rule could tell containers apart by. */
function signature(host: MapHost, member: Member, lists: readonly (readonly AddressRange[])[]): string {
  const parts = ([4, 6] as const).map((family) => {
    const end = member.ends.get(family);
    if (end === undefined) return 'none';
    const number = addressNumber(end.address);
    const matched = lists.map((ranges) => ranges[0]?.family === family && rangesContain(ranges, number));
    const isLan = host.desired.host.lan.some((prefix) => contains(rangeOf(prefix), end.address));
    const chains = end.side.kind === 'nic' ? [chainHash(end.side.nic.egress), chainHash(end.side.nic.ingress)] : [];
    // One that claims the address in vain keeps its chains and gets nothing.
    const owns = end.side.kind === 'nic' && end.side.nic.owned.some((own) => contains(rangeOf(own), end.address));
    return [...chains, owns, isLan, ...matched.map(Number)].join();
  });
  return [member.group ?? '', member.policy, member.sealed, ...parts].join(' ');
}

function nodeOf(members: readonly Member[], sizes: ReadonlyMap<string | null, number>): MapNode {
  const [first] = members;
  const group = first?.group ?? null;
  const names = members.map(({ name }) => name);
  return {
    id: members.length === 1 ? `container:${first?.name}` : `containers:${names.join(',')}`,
    kind: 'containers',
    members: names,
    group,
    isWholeGroup: group !== null && members.length > 1 && sizes.get(group) === members.length,
    within: null,
    policy: first?.policy ?? null,
    sealed: first?.sealed ?? false,
    ends: members.map(({ ends }) => ends),
  };
}
