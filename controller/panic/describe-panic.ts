/** In words, what is sealed and what ends it. */
import { isPanic, type PanicEntry, type PanicState, sealOf } from './panic-state.ts';

/** One line for each seal; none without a panic. */
export function describePanic(state: PanicState): string[] {
  const { all, containers, damaged } = state;
  if (!isPanic(state)) return [];
  if (damaged !== null)
    return [
      `panic: all containers are sealed, since it can't be read which ones shall be (${damaged}); end it: routewall panic off`,
    ];
  return [
    ...(all === null ? [] : [`panic: all containers are sealed${told(all)}; end it: routewall panic off`]),
    ...[...containers].map(
      ([name, entry]) => `panic: ${name} is sealed${told(entry)}; end it: routewall panic off -n ${name}`,
    ),
  ];
}

/** Why nothing passes the container; `undefined` where something may. */
export function whySealed(state: PanicState, container: string): string | undefined {
  const entry = sealOf(state, container);
  if (entry === undefined) return undefined;
  const end = state.all === null ? ` -n ${container}` : '';
  return `sealed${told(entry)}: routewall panic off${end}`;
}

const told = ({ since, by }: PanicEntry): string =>
  since === '' ? '' : ` since ${since.replace('T', ' ').replace(/(\.\d+)?Z$/, ' UTC')} by ${by}`;
