/** In words, what is sealed and what ends it. */
import { timeText } from '../../policies/moment.ts';
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
      ([name, entry]) => `panic: ${name} is sealed${told(entry)}; end it: ${endOf(state, name).join(', then ')}`,
    ),
  ];
}

/** Why nothing passes the container; `undefined` where something may. */
export function whySealed(state: PanicState, container: string): string | undefined {
  const entry = sealOf(state, container);
  if (entry === undefined) return undefined;
  return `sealed${told(entry)}: ${endOf(state, container).join(', then ')}`;
}

/** The orders that open it, as they have to follow one another: what is sealed with all isn't opened by its name. */
const endOf = ({ all, containers }: PanicState, container: string): string[] => [
  ...(all === null ? [] : ['routewall panic off']),
  ...(containers.has(container) ? [`routewall panic off -n ${container}`] : []),
];

const told = ({ since, by }: PanicEntry): string => (since === '' ? '' : ` since ${timeText(since)} by ${by}`);
