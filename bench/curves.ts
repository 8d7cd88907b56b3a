/** Curves on logarithmic axes as an SVG that any browser shows, in the light and in the dark. */
import type { Curves } from './report.ts';

const [WIDTH, HEIGHT] = [640, 400];
const FRAME = { left: 70, right: 170, top: 40, bottom: 50 };
const COLOURS = ['#1b6ca8', '#d1495b', '#2e933c', '#a06cd5', '#c77d0a', '#5c6b73'];

interface Axis {
  readonly at: (value: number) => number;
  readonly ticks: readonly number[];
}

/** From `low` to `high` pixels, over whole powers of ten or, within one, over 1, 2 and 5. */
function axisOf(values: readonly number[], low: number, high: number): Axis {
  const [least, most] = [Math.log10(Math.min(...values)), Math.log10(Math.max(...values))];
  const [from, to] = [Math.floor(least * 3) / 3, Math.max(Math.ceil(most * 3) / 3, least + 1 / 3)];
  const at = (value: number): number => low + ((Math.log10(value) - from) / (to - from)) * (high - low);
  const steps = to - from > 2 ? [1] : [1, 2, 5];
  const ticks: number[] = [];
  for (let power = Math.floor(from); power <= to; power += 1)
    for (const step of steps) {
      const value = step * 10 ** power;
      if (Math.log10(value) >= from - 1e-9 && Math.log10(value) <= to + 1e-9) ticks.push(value);
    }
  return { at, ticks };
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const number = (value: number): string => value.toLocaleString('en', { maximumSignificantDigits: 3 });

export function drawCurves({ title, x, y, lines }: Curves): string {
  const points = lines.flatMap((line) => line.points);
  const across = axisOf(
    points.map(([value]) => Math.max(value, 1)),
    FRAME.left,
    WIDTH - FRAME.right,
  );
  const up = axisOf(
    points.map(([, value]) => value),
    HEIGHT - FRAME.bottom,
    FRAME.top,
  );
  const [right, bottom] = [WIDTH - FRAME.right, HEIGHT - FRAME.bottom];
  const grid = [
    ...across.ticks.map(
      (tick) =>
        `<path class="grid" d="M${across.at(tick)} ${FRAME.top}V${bottom}"/><text x="${across.at(tick)}" y="${bottom + 18}" text-anchor="middle">${number(tick)}</text>`,
    ),
    ...up.ticks.map(
      (tick) =>
        `<path class="grid" d="M${FRAME.left} ${up.at(tick)}H${right}"/><text x="${FRAME.left - 8}" y="${up.at(tick) + 4}" text-anchor="end">${number(tick)}</text>`,
    ),
  ];
  const drawn = lines.map((line, index) => {
    const colour = COLOURS[index % COLOURS.length];
    const places = line.points.map(([a, b]) => [across.at(Math.max(a, 1)), up.at(b)] as const);
    const path = places.map(([a, b], step) => `${step === 0 ? 'M' : 'L'}${a.toFixed(1)} ${b.toFixed(1)}`).join('');
    const dots = places.map(([a, b]) => `<circle cx="${a.toFixed(1)}" cy="${b.toFixed(1)}" r="3.5" fill="${colour}"/>`);
    const label = FRAME.top + 12 + index * 20;
    return (
      `<path d="${path}" fill="none" stroke="${colour}" stroke-width="2"/>${dots.join('')}` +
      `<path d="M${right + 14} ${label - 4}h18" stroke="${colour}" stroke-width="2"/><text x="${right + 38}" y="${label}">${escaped(line.label)}</text>`
    );
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}">
<title>${escaped(title)}</title>
<style>
text { font: 12px sans-serif; fill: #222 }
.grid { stroke: #ccc; fill: none }
svg { background: #fff }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .grid { stroke: #444 } svg { background: #111 } }
</style>
<text x="${FRAME.left}" y="22" font-weight="bold">${escaped(title)}</text>
${grid.join('\n')}
${drawn.join('\n')}
<text x="${(FRAME.left + right) / 2}" y="${HEIGHT - 10}" text-anchor="middle">${escaped(x)}</text>
<text transform="translate(16 ${(FRAME.top + bottom) / 2}) rotate(-90)" text-anchor="middle">${escaped(y)}</text>
</svg>
`;
}
