/** The map itself: who can reach whom with what. */
import type { MapNode } from './map-nodes.ts';

export interface MapEdge {
  readonly from: MapNode;
  readonly to: MapNode;
  /** Empty: nothing, although the larger peer that holds the one outside gets something. */
  readonly services: readonly string[];
  /** Only some of the senders, or to some of the receivers. */
  readonly some: boolean;
}

export interface ReachMap {
  readonly nodes: readonly MapNode[];
  /** In the order of the nodes; an edge from a node to itself is what its containers may send each other. */
  readonly edges: readonly MapEdge[];
}
