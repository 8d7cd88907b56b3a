/** Who can reach whom with what: an edge where the sender's and the receiver's policies both let it pass. */
import type { Family } from '../../render/address.ts';
import { findSource } from '../explain/flow-parties.ts';
import { foldGroups } from './fold-nodes.ts';
import { type MapHost, type MapNode, mapNodes } from './map-nodes.ts';
import type { MapEdge, ReachMap } from './map-shape.ts';
import { allowedServices, type End, type ServiceSet } from './service-set.ts';
import { describeServices, isNothing, type ServiceNames, serviceNames } from './service-words.ts';

/** More nodes with containers than this are no picture any more: then groups become nodes. */
const READABLE = 40;

/** `names`: these containers and what touches them; everything where empty. */
export function buildMap(host: MapHost, names: ReadonlySet<string>): ReachMap {
  const nodes = mapNodes(host, names);
  const words = serviceNames(host.loaded);
  const flows = nodes.flatMap((from) => nodes.flatMap((to) => flowBetween(host, from, to, names)));
  const exact = { nodes, edges: edgesOf(flows, words) };
  return keepTouched(isReadable(nodes) || names.size > 0 ? exact : foldGroups(exact), names);
}

const isReadable = (nodes: readonly MapNode[]): boolean =>
  nodes.filter(({ kind }) => kind === 'containers').length <= READABLE;

type Allowed = ReadonlyMap<Family, ServiceSet>;

interface Flow {
  readonly from: MapNode;
  readonly to: MapNode;
  readonly allowed: Allowed;
}

function flowBetween(host: MapHost, from: MapNode, to: MapNode, names: ReadonlySet<string>): Flow[] {
  if (from.kind !== 'containers' && to.kind !== 'containers') return [];
  if (from.sealed || to.sealed) return [];
  const touches = [...from.members, ...to.members].some((name) => names.has(name));
  if (names.size > 0 && !touches) return [];
  const [sender] = from.ends;
  // Among those of one node the second stands for all others.
  const receiver = to.ends[from === to ? 1 : 0];
  if (sender === undefined || receiver === undefined) return [];
  const senders = from.kind === 'host' ? hostEnds(host, receiver) : sender;
  return [{ from, to, allowed: allowedByFamily(host, senders, receiver) }];
}

/** What is told of a peer outside is told of its parts too: those have an edge only where it differs. */
function edgesOf(flows: readonly Flow[], words: ServiceNames): MapEdge[] {
  const known = new Map(flows.map((flow) => [keyOf(flow.from.id, flow.to.id), flow]));
  return flows.flatMap(({ from, to, allowed }) => {
    const larger = known.get(keyOf(from.within ?? from.id, to.within ?? to.id));
    const isPart = from.within !== null || to.within !== null;
    const isEmpty = isNothingAtAll(allowed);
    const toldOf = isPart && larger !== undefined && isSame(allowed, larger.allowed);
    if (toldOf || (isEmpty && (!isPart || larger === undefined || isNothingAtAll(larger.allowed)))) return [];
    return [{ from, to, services: isEmpty ? [] : describeServices(allowed, words), some: false }];
  });
}

const keyOf = (from: string, to: string): string => JSON.stringify([from, to]);

const isNothingAtAll = (allowed: Allowed): boolean => [...allowed.values()].every(isNothing);

/** In the families that the part has. */
const isSame = (part: Allowed, larger: Allowed): boolean =>
  [...part].every(([family, set]) => JSON.stringify(set) === JSON.stringify(larger.get(family)));

/** The host chooses its address by where it sends. */
function hostEnds(host: MapHost, to: ReadonlyMap<Family, End>): Map<Family, End> {
  const ends = new Map<Family, End>();
  for (const [family, receiver] of to) {
    const { address, side } = findSource(host, { kind: 'host' }, family, receiver.address);
    if (address !== undefined && side !== undefined) ends.set(family, { address, side });
  }
  return ends;
}

function allowedByFamily(
  host: MapHost,
  from: ReadonlyMap<Family, End>,
  to: ReadonlyMap<Family, End>,
): Map<Family, ServiceSet> {
  const sets = new Map<Family, ServiceSet>();
  for (const [family, sender] of from) {
    const receiver = to.get(family);
    if (receiver !== undefined) sets.set(family, allowedServices(host, sender, receiver, family));
  }
  return sets;
}

/** What nobody reaches and reaches nobody stays, if it is a container: that it is closed is what the map tells. */
function keepTouched({ nodes, edges }: ReachMap, names: ReadonlySet<string>): ReachMap {
  const touched = new Set(edges.flatMap(({ from, to }) => [from, to]));
  const asked = (node: MapNode): boolean => names.size === 0 || node.members.some((name) => names.has(name));
  return { nodes: nodes.filter((node) => touched.has(node) || (node.kind === 'containers' && asked(node))), edges };
}
