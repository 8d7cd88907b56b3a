/** The map in Graphviz' language. */
import { nodeLabel, plainText, policyNote, servicesText } from './map-labels.ts';
import type { MapNode } from './map-nodes.ts';
import type { MapEdge, ReachMap } from './map-shape.ts';

/** Colours for a white page; an SVG swaps them in the dark (map-svg.ts). */
const INK = '#1f2933';
const FAINT = '#616e7c';
const FONT = 'fontname="Helvetica,Arial,sans-serif"';

/**
 * Equal maps give equal text. What is no container stands twice, as sender on the left and as receiver on the right:
 * so all that crosses the border of a container is read from left to right.
 */
export function renderDot({ nodes, edges }: ReachMap): string {
  const numbers = new Map(nodes.map((node, index) => [node, index]));
  const nameOf = (node: MapNode, side: 'from' | 'to'): string =>
    `${node.kind === 'containers' ? 'c' : side === 'from' ? 'l' : 'r'}${numbers.get(node)}`;
  const senders = nodes.filter((node) => edges.some(({ from }) => from === node));
  const receivers = nodes.filter((node) => edges.some(({ to }) => to === node));
  const containers = nodes.filter(({ kind }) => kind === 'containers');
  const touched = new Set([...senders, ...receivers]);
  const outside = (list: readonly MapNode[], side: 'from' | 'to'): string[] =>
    list.flatMap((node) => (node.kind === 'containers' ? [] : [nodeLine(node, nameOf(node, side), true)]));
  return [
    'digraph routewall {',
    `  graph [rankdir=LR, bgcolor=white, ${FONT}, nodesep=0.3, ranksep=1.4];`,
    `  node [shape=box, style="rounded,filled", fillcolor="#f5f7fa", color="${INK}", fontcolor="${INK}", ${FONT}, fontsize=12, margin="0.25,0.1"];`,
    `  edge [color="#52606d", fontcolor="${INK}", ${FONT}, fontsize=10, arrowsize=0.7];`,
    ...rank('source', outside(senders, 'from')),
    ...containers.map((node) => nodeLine(node, nameOf(node, 'from'), touched.has(node))),
    ...rank('sink', outside(receivers, 'to')),
    ...edges.map((edge) => edgeLine(edge, nameOf(edge.from, 'from'), nameOf(edge.to, 'to'))),
    '}',
    '',
  ].join('\n');
}

const rank = (name: 'source' | 'sink', lines: readonly string[]): string[] =>
  lines.length === 0 ? [] : ['  {', `    rank=${name};`, ...lines.map((line) => `  ${line}`), '  }'];

type Look = 'closed' | 'open' | MapNode['kind'];

const LOOKS: Readonly<Record<Look, readonly string[]>> = {
  containers: [],
  closed: ['style="rounded,filled,dashed"', `color="${FAINT}"`, `fontcolor="${FAINT}"`],
  open: ['fillcolor="#ffe3e3"', 'color="#ab091e"'],
  host: ['fillcolor="#d9e8ff"', 'color="#2251a3"'],
  outside: ['shape=ellipse', 'style=filled', 'fillcolor="#fff3c4"', 'color="#8d6708"', 'margin="0.15,0.08"'],
};

function nodeLine(node: MapNode, name: string, isTouched: boolean): string {
  const look = lookOf(node, isTouched);
  const note = policyNote(node) ?? (look === 'closed' ? 'closed: nothing passes' : undefined);
  const lines = [nodeLabel(node), ...subtitle(node), ...(note === undefined ? [] : [note])];
  const attributes = [
    `label=${quoted(lines.join('\n'))}`,
    `tooltip=${quoted(node.members.length > 0 ? plainText(node.members.join(', ')) : nodeLabel(node))}`,
    `class="${look}"`,
    ...LOOKS[look],
    ...(node.members.length > 1 ? ['peripheries=2'] : []),
  ];
  return `  ${name} [${attributes.join(', ')}];`;
}

function lookOf({ kind, policy, sealed }: MapNode, isTouched: boolean): Look {
  if (kind !== 'containers') return kind;
  if (sealed || policy === 'closed' || !isTouched) return 'closed';
  return policy === 'open' ? 'open' : kind;
}

function subtitle({ members, group, isWholeGroup }: MapNode): string[] {
  const named = group === null || isWholeGroup ? [] : [`group ${plainText(group)}`];
  const counted = members.length > 1 ? [`${members.length} containers`] : [];
  const text = [...counted, ...named].join(', ');
  return text === '' ? [] : [text];
}

function edgeLine({ from, to, services, some }: MapEdge, fromName: string, toName: string): string {
  const words = servicesText(services);
  const all = `${nodeLabel(from)} to ${nodeLabel(to)}: ${words.join(', ')}${some ? ' (some of them)' : ''}`;
  const isRefused = services.length === 0;
  const attributes = [
    `label=${quoted(wrap(words).join('\n'))}`,
    `tooltip=${quoted(all)}`,
    `labeltooltip=${quoted(all)}`,
    `class="${isRefused ? 'refused' : 'allowed'}"`,
    ...(isRefused ? ['style=dotted', 'arrowhead=tee', 'color="#ab091e"'] : some ? ['style=dashed'] : []),
  ];
  return `  ${fromName} -> ${toName} [${attributes.join(', ')}];`;
}

/** More words than this are in the tooltip alone. */
const SHOWN = 9;
const WIDTH = 22;

/** Lines of at most WIDTH characters where words allow it. */
function wrap(words: readonly string[]): string[] {
  const shown = words.length > SHOWN ? [...words.slice(0, SHOWN - 1), `${words.length - SHOWN + 1} more`] : words;
  const lines: string[] = [];
  for (const [index, word] of shown.entries()) {
    const text = index < shown.length - 1 ? `${word},` : word;
    const last = lines.at(-1);
    if (last !== undefined && last.length + text.length < WIDTH) lines[lines.length - 1] = `${last} ${text}`;
    else lines.push(text);
  }
  return lines;
}

/** Backslashes begin Graphviz' own escapes, and & its entities. */
function quoted(text: string): string {
  const plain = text.replaceAll('&', '&amp;').replaceAll('\\', '\\\\').replaceAll('"', '\\"');
  return `"${plain.replaceAll('\n', '\\n')}"`;
}
