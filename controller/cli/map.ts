/** `routewall map`: who can reach whom, as a table, as DOT, as a picture or as JSON. */
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Container } from '../../policies/endpoint.ts';
import { nameUnenforceable } from '../../policies/unenforceable.ts';
import { heldBy } from '../iptables/unsayable-nics.ts';
import { foldAnyone } from '../map/fold-nodes.ts';
import { renderDot } from '../map/map-dot.ts';
import type { ReachMap } from '../map/map-shape.ts';
import { renderSvg } from '../map/map-svg.ts';
import { mapToJson, renderMapTable } from '../map/map-table.ts';
import { buildMap } from '../map/reach-map.ts';
import { assembleAsIfRunning } from '../pass/as-if-running.ts';
import { EXIT } from './exit.ts';
import type { Invocation } from './options.ts';
import { readAllInForce, readHost, selectContainers } from './read-host.ts';
import { describeNotInForce } from './serving-daemon.ts';

export interface MapFlags {
  readonly format: 'table' | 'dot' | 'svg';
  /** Standard output without it. */
  readonly output: string | undefined;
  /** Not as the files are saved. */
  readonly inForce: boolean;
}

export async function runMap(invocation: Invocation, { format, output, inForce }: MapFlags): Promise<number> {
  const { io, shared } = invocation;
  const host = await (inForce ? readAllInForce : readHost)(invocation);
  const names = selectContainers(host.containers, shared.names).map(({ container }) => container.name);
  const { policies, network, ...assembled } = assembleAsIfRunning(host.inputs, host.assembler);
  const { containers, loaded, backend, config } = host.inputs;
  const { state: desired, unheld } = heldBy(backend ?? config.backend, assembled.desired);
  const asked = new Set(shared.names.length === 0 ? [] : names);
  const map = buildMap({ desired, policies, network, containers, loaded, panic: host.panic }, asked);
  const text = await render(map, shared.json ? 'json' : format, invocation);
  if (output === undefined) io.out.write(text);
  else await writeFile(resolve(io.folder, output), text);
  const past = host.containers.filter(
    ({ container }) => container.unenforceable !== undefined && (asked.size === 0 || asked.has(container.name)),
  );
  for (const { container } of past)
    io.err.write(`not in the map, since no rule stands before it: ${nameNetworks(container)}\n`);
  for (const [key, why] of unheld) {
    const container = assembled.desired.nics.get(key)?.container ?? '';
    if (asked.size === 0 || asked.has(container)) io.err.write(`${container}: ${why}\n`);
  }
  const waiting = inForce ? undefined : await describeNotInForce(invocation);
  if (waiting !== undefined) io.err.write(`drawn by the files as they are saved: ${waiting}\n`);
  return EXIT.fine;
}

const nameNetworks = ({ name, unenforceable = [] }: Container): string =>
  `${name} on ${unenforceable.map(nameUnenforceable).join(', ')}`;

async function render(map: ReachMap, format: MapFlags['format'] | 'json', { colours }: Invocation): Promise<string> {
  switch (format) {
    case 'json':
      return `${JSON.stringify(mapToJson(map), null, 2)}\n`;
    case 'table':
      return renderMapTable(foldAnyone(map), colours);
    case 'dot':
      return renderDot(foldAnyone(map));
    case 'svg':
      return renderSvg(renderDot(foldAnyone(map)));
  }
}
