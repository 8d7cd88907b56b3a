/** The map as a picture that any browser shows, on a light and on a dark page. */

/** Draws DOT; Graphviz compiled to WebAssembly, 800 KB that nothing else loads. */
export type LoadGraphviz = () => Promise<{ readonly dot: (source: string) => string }>;

export const loadGraphviz: LoadGraphviz = async () => {
  const { Graphviz } = await import('@hpcc-js/wasm-graphviz');
  return Graphviz.load();
};

/** Presentation attributes, which Graphviz writes, give way to these. */
const DARK = `<style>
@media (prefers-color-scheme: dark) {
  svg { background: #14181d }
  g.graph > polygon { fill: #14181d }
  text { fill: #e4e7eb }
  g.node path, g.node polygon { fill: #1f2933; stroke: #9aa5b1 }
  g.node ellipse { fill: #4d3a00; stroke: #f0b429 }
  g.host path, g.host polygon { fill: #103061; stroke: #7fb0ff }
  g.open path, g.open polygon { fill: #610316; stroke: #ef4e4e }
  g.closed text { fill: #9aa5b1 }
  g.edge path { stroke: #9aa5b1 }
  g.edge polygon { fill: #9aa5b1; stroke: #9aa5b1 }
}
</style>
`;

export async function renderSvg(dot: string, load: LoadGraphviz = loadGraphviz): Promise<string> {
  const graphviz = await load();
  return graphviz.dot(dot).replace(/(<svg\b[^>]*>\n?)/, `$1${DARK}`);
}
