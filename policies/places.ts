/** Where each key and value of a parsed file stands, without keeping the parser's syntax tree alive. */

/** From the root: keys of mappings and indices of lists. */
export type Path = readonly (string | number)[];

/** Offsets into the text. `at` of a scalar is the node itself. */
export type PlaceNode = number | MappingPlaces | ListPlaces;
interface MappingPlaces {
  readonly at: number;
  readonly keys: ReadonlyMap<string, { readonly at: number; readonly value: PlaceNode }>;
}
interface ListPlaces {
  readonly at: number;
  readonly items: readonly PlaceNode[];
}

export interface Place {
  readonly line: number;
  readonly column: number;
}

export interface Places {
  /** The place of the value at the path, or of its key; of the nearest parent where the path leads nowhere. */
  placeOf(path: Path, part?: 'key' | 'value'): Place;
}

/** `lineStarts` are the offsets at which lines begin, ascending, the first one 0. */
export function createPlaces(root: PlaceNode, lineStarts: readonly number[]): Places {
  return { placeOf: (path, part = 'value') => placeAt(offsetOf(root, path, part), lineStarts) };
}

function offsetOf(root: PlaceNode, path: Path, part: 'key' | 'value'): number {
  let node = root;
  for (const [depth, step] of path.entries()) {
    if (typeof node === 'number') return node;
    if ('items' in node) {
      const item = node.items[Number(step)];
      if (item === undefined) return node.at;
      node = item;
      continue;
    }
    const entry = node.keys.get(String(step));
    if (entry === undefined) return node.at;
    if (part === 'key' && depth === path.length - 1) return entry.at;
    node = entry.value;
  }
  return typeof node === 'number' ? node : node.at;
}

/** Columns count UTF-16 units, as editors do. */
export function placeAt(offset: number, lineStarts: readonly number[]): Place {
  let low = 0;
  let high = lineStarts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((lineStarts[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return { line: low + 1, column: offset - (lineStarts[low] ?? 0) + 1 };
}

export function lineStartsOf(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}
