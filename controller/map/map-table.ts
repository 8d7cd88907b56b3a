/** The map as lines of text, and as JSON. */
import type { Colours } from '../cli/io.ts';
import { renderTable } from '../cli/table.ts';
import { nodeLabel, policyNote, servicesText } from './map-labels.ts';
import type { MapNode } from './map-nodes.ts';
import type { ReachMap } from './map-shape.ts';

export function renderMapTable({ nodes, edges }: ReachMap, colours: Colours): string {
  const label = (node: MapNode): string => `${nodeLabel(node)}${members(node)}`;
  const rows = edges.map(({ from, to, services, some }, index) => [
    edges[index - 1]?.from === from ? '' : label(from),
    from === to ? 'each other' : label(to),
    `${servicesText(services).join(', ')}${some ? colours.dim(' (some)') : ''}`,
  ]);
  const heading = ['FROM', 'TO', 'SERVICES'].map((text) => colours.bold(text));
  const table = rows.length > 0 ? renderTable([heading, ...rows]) : '';
  const touched = new Set(edges.flatMap(({ from, to }) => [from, to]));
  const notes = nodes.flatMap((node) => {
    const note = policyNote(node) ?? (touched.has(node) ? undefined : 'closed: nothing to or from it is allowed');
    return note === undefined || node.kind !== 'containers' ? [] : [[label(node), colours.yellow(note)]];
  });
  return `${table}${notes.length > 0 && table !== '' ? '\n' : ''}${renderTable(notes)}`;
}

const members = ({ members: { length } }: MapNode): string => (length > 1 ? ` (${length})` : '');

export const mapToJson = ({ nodes, edges }: ReachMap): unknown => ({
  nodes: nodes.map(({ id, kind, members: names, group, policy, sealed }) => ({
    ...{ id, kind, members: names, group, policy, sealed },
  })),
  edges: edges.map(({ from, to, services, some }) => ({ from: from.id, to: to.id, services, some })),
});
