/** `wires:` of routewall.yaml: pairs of ends, as far as the file alone can tell. */
import { type InterfaceName, parseInterfaceName } from '../render/names.ts';
import type { Wires } from './config.gen.ts';
import type { Path } from './places.ts';

export interface EndPlace {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** `place` in routewall.yaml. */
export type WireEnd =
  | { readonly kind: 'container'; readonly container: string; readonly nic: string; readonly place: EndPlace }
  | { readonly kind: 'interface'; readonly dev: InterfaceName; readonly place: EndPlace };

export interface ConfiguredWire {
  readonly a: WireEnd;
  readonly b: WireEnd;
}

/** `uplinks`: what the administrator named as such. */
export function wiresOf(
  wires: Wires,
  placeOf: (path: Path) => EndPlace,
  uplinks: readonly InterfaceName[],
  fail: (path: Path, message: string) => void,
): ConfiguredWire[] {
  const seen = new Set<string>();
  const endOf = (text: string, path: Path): WireEnd | undefined => {
    const end = parseEnd(text, placeOf(path));
    if (typeof end === 'string') fail(path, end);
    else if (seen.has(text)) fail(path, `"${text}" is the end of two wires: a cable has one plug at each end`);
    else if (end.kind === 'interface' && uplinks.includes(end.dev)) {
      fail(path, `"${text}" is an uplink: what comes in there would go nowhere but into the wire`);
    } else {
      seen.add(text);
      return end;
    }
    return undefined;
  };
  return wires.flatMap(({ a, b }, index) => {
    const [first, second] = [endOf(a, ['wires', index, 'a']), endOf(b, ['wires', index, 'b'])];
    return first === undefined || second === undefined ? [] : [{ a: first, b: second }];
  });
}

function parseEnd(text: string, place: EndPlace): WireEnd | string {
  const [, container, nic] = /^container:([^/]+)\/([^/]+)$/.exec(text) ?? [];
  if (container !== undefined && nic !== undefined) return { kind: 'container', container, nic, place };
  const dev = parseInterfaceName(text.replace(/^interface:/, ''));
  return dev === undefined ? `"${text}" is no interface name` : { kind: 'interface', dev, place };
}

/** As in the file: `container:r1/eth1`, `interface:eth2`. */
export const describeEnd = (end: WireEnd): string =>
  end.kind === 'container' ? `container:${end.container}/${end.nic}` : `interface:${end.dev}`;
