/** What has become of each wire of routewall.yaml. */

import { isError } from '../../policies/problem.ts';
import type { ConfiguredWire } from '../../policies/wires-config.ts';
import { describeEnd } from '../../policies/wires-config.ts';
import { asList, asOneOf, asText, fieldsOf, orNull, type Placed } from '../json-shape.ts';
import type { Outcome } from '../pass/outcome.ts';

/** `down`: one of its ends isn't there; `broken`: both are, and `why` it isn't up all the same, or not whole. */
export interface WireStatus {
  readonly a: string;
  readonly b: string;
  readonly state: 'up' | 'down' | 'broken';
  readonly why: string | null;
}

/** Absent where there are none. */
export interface Wired {
  readonly wires?: readonly WireStatus[];
}

export function describeWires(
  wires: readonly ConfiguredWire[],
  { applied, traffic, assembled }: Pick<Outcome, 'applied' | 'traffic' | 'assembled'>,
): Wired {
  if (wires.length === 0) return {};
  return {
    wires: wires.map(({ a, b }): WireStatus => {
      const [from, to] = [describeEnd(a), describeEnd(b)];
      const ends = { a: from, b: to };
      const told = assembled.wireProblems.filter(({ line, column }) =>
        [a.place, b.place].some((place) => place.line === line && place.column === column),
      );
      const mistake = told.find(isError);
      if (mistake !== undefined) return { ...ends, state: 'broken', why: mistake.message };
      const wire = applied.enforced.wires?.find(({ name }) => name === `${from} and ${to}`);
      if (wire === undefined) return { ...ends, state: 'down', why: told[0]?.message ?? null };
      const failure = traffic.find(({ dev }) => dev === wire.a || dev === wire.b);
      return {
        ...ends,
        state: failure === undefined || failure.part === 'mtu' ? 'up' : 'broken',
        why: failure?.why ?? null,
      };
    }),
  };
}

/** @throws ShapeError */
export function parseWires(of: Placed): Wired {
  const wires = orNull(of, asList)?.map((entry): WireStatus => {
    const field = fieldsOf(entry);
    return {
      a: asText(field('a')),
      b: asText(field('b')),
      state: asOneOf(field('state'), ['up', 'down', 'broken'] as const),
      why: orNull(field('why'), asText),
    };
  });
  return wires === undefined || wires === null ? {} : { wires };
}
