/** Fewer nodes that say the same, where a map of all of them would be no picture any more. */
import type { MapNode } from './map-nodes.ts';
import type { MapEdge, ReachMap } from './map-shape.ts';

/** One node for each lxc.group; an edge that isn't all members' says so. */
export function foldGroups({ nodes, edges }: ReachMap): ReachMap {
  const folded = new Map<MapNode, MapNode>();
  for (const group of new Set(nodes.flatMap((node) => node.group ?? []))) {
    const parts = nodes.filter((node) => node.group === group);
    const members = parts.flatMap((node) => node.members).sort();
    const policy = parts.every((node) => node.policy === parts[0]?.policy) ? (parts[0]?.policy ?? null) : null;
    const node: MapNode = {
      ...{ id: `group:${group}`, kind: 'containers', members, group, isWholeGroup: true, within: null },
      ...{ policy, sealed: parts.every(({ sealed }) => sealed), ends: [] },
    };
    for (const part of parts) folded.set(part, parts.length === 1 ? part : node);
  }
  const of = (node: MapNode): MapNode => folded.get(node) ?? node;
  const ends = new Map<string, MapEdge[]>();
  for (const edge of edges) {
    const key = JSON.stringify([of(edge.from).id, of(edge.to).id]);
    ends.set(key, [...(ends.get(key) ?? []), edge]);
  }
  return { nodes: [...new Set(nodes.map(of))], edges: [...ends.values()].flatMap((parts) => joinEdges(parts, of)) };
}

function joinEdges(edges: readonly MapEdge[], of: (node: MapNode) => MapNode): MapEdge[] {
  const [first] = edges;
  if (first === undefined) return [];
  const [from, to] = [of(first.from), of(first.to)];
  const services = [...new Set(edges.flatMap((edge) => edge.services))].sort();
  const pairs = edges.reduce((sum, edge) => sum + pairsOf(edge.from, edge.to), 0);
  const areSame = edges.every((edge) => edge.services.join() === first.services.join());
  return [{ from, to, services, some: !areSame || pairs < pairsOf(from, to) }];
}

const sizeOf = ({ members }: MapNode): number => Math.max(members.length, 1);

const pairsOf = (from: MapNode, to: MapNode): number => sizeOf(from) * (from === to ? sizeOf(to) - 1 : sizeOf(to));

/** What is the same from, or to, the host, the network around it and the internet is one line, not three. */
export function foldAnyone({ nodes, edges }: ReachMap): ReachMap {
  const parts = nodes.filter(({ id, members }) => members.length === 0 && ['host', 'lan', 'internet'].includes(id));
  const [first] = parts;
  if (first === undefined || parts.length < 3) return { nodes, edges };
  const anyone: MapNode = { ...first, id: 'host, lan, internet', kind: 'outside', ends: [] };
  const kept = edges.flatMap((edge) => {
    const part = parts.find((node) => node === edge.from || node === edge.to);
    if (part === undefined) return [edge];
    const isFrom = part === edge.from;
    const same = parts.filter((node) => edges.some((other) => isAlike(other, edge, isFrom, node)));
    if (same.length < parts.length) return [edge];
    return part === first ? [{ ...edge, [isFrom ? 'from' : 'to']: anyone }] : [];
  });
  const touched = new Set(kept.flatMap(({ from, to }) => [from, to]));
  const left = nodes.flatMap((node) => (node === first ? [anyone, node] : [node]));
  const folded = left.filter((node) => node.members.length > 0 || touched.has(node));
  return { nodes: folded, edges: inOrder(kept, folded) };
}

function inOrder(edges: readonly MapEdge[], nodes: readonly MapNode[]): MapEdge[] {
  const places = new Map(nodes.map((node, index) => [node, index]));
  const place = ({ from, to }: MapEdge): number => (places.get(from) ?? 0) * nodes.length + (places.get(to) ?? 0);
  return [...edges].sort((a, b) => place(a) - place(b));
}

function isAlike(other: MapEdge, edge: MapEdge, isFrom: boolean, node: MapNode): boolean {
  const ends = isFrom ? other.from === node && other.to === edge.to : other.to === node && other.from === edge.from;
  return ends && other.services.join() === edge.services.join() && other.some === edge.some;
}
