/** `routewall preview`: what would change in the kernel. */

import { isError, uniqueProblems } from '../../policies/problem.ts';
import { createAssembler, problemsOf } from '../assemble.ts';
import { flowRows, tellChanges } from '../describe-changes.ts';
import { type NicChange, readFlowChanges } from '../flow-changes.ts';
import { type Change, compareWithKernel, type KernelComparison, readKernel } from '../kernel-comparison.ts';
import { EXIT } from './exit.ts';
import type { Colours } from './io.ts';
import type { Invocation } from './options.ts';
import { placeProblems, printProblems } from './print-problems.ts';
import { readHost, selectContainers } from './read-host.ts';
import { restrict } from './render.ts';

export async function runPreview(
  invocation: Invocation,
  { exitCode }: { readonly exitCode: boolean },
): Promise<number> {
  const { io, shared, colours, errColours } = invocation;
  const run = await io.loadRun();
  const reading = readKernel(run);
  // Awaited below; until then a failure of the files has precedence.
  reading.catch(() => undefined);
  const host = await readHost(invocation);
  const assembled = createAssembler().assemble(host.inputs);
  const chosen = selectContainers(host.containers, shared.names);
  const comparison = await compareWithKernel(run, restrict(assembled.desired, allIds(host.containers)), reading);
  const names = new Set(chosen.map(({ container }) => container.name));
  const flows = readFlowChanges(comparison, assembled, host.inputs.loaded).filter(({ container }) =>
    names.has(container),
  );
  const problems = uniqueProblems(host.inputs.containers.flatMap((container) => problemsOf(assembled, container)));
  printProblems(io.err, errColours, placeProblems(problems.filter(isError), shared.shown.policies));
  io.out.write(
    shared.json ? `${JSON.stringify(toJson(comparison, flows), null, 2)}\n` : asText(comparison, flows, colours),
  );
  return exitCode && comparison.changed ? EXIT.no : EXIT.fine;
}

const allIds = (containers: readonly { readonly container: { readonly id: string } }[]): Set<string> =>
  new Set(containers.map(({ container }) => container.id));

function toJson(comparison: KernelComparison, flows: readonly NicChange[]): unknown {
  const { changed, ruleset, routes, neighbourProxies, gateways } = comparison;
  return { changed, ruleset, routes, neighbourProxies, gateways, flows: flowRows(flows) };
}

function asText(comparison: KernelComparison, flows: readonly NicChange[], colours: Colours): string {
  if (!comparison.changed) return 'nothing would change: the kernel holds what the files say\n';
  const parts = [
    colourDiff(comparison.ruleset, colours),
    changeText('routes', comparison.routes, colours),
    changeText('neighbour proxies', comparison.neighbourProxies, colours),
    changeText('gateway addresses', comparison.gateways, colours),
    flowText(flows, colours),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

export function changeText(title: string, { add, remove }: Change, colours: Colours): string {
  if (add.length + remove.length === 0) return '';
  const lines = [...remove.map((line) => colours.red(`- ${line}`)), ...add.map((line) => colours.green(`+ ${line}`))];
  return `${colours.bold(`${title}:`)}\n${lines.map((line) => `${line}\n`).join('')}`;
}

export function colourDiff(diff: string, colours: Colours): string {
  return diff
    .split('\n')
    .map((line) => {
      if (line.startsWith('---') || line.startsWith('+++')) return colours.bold(line);
      if (line.startsWith('@@')) return colours.cyan(line);
      if (line.startsWith('-')) return colours.red(line);
      return line.startsWith('+') ? colours.green(line) : line;
    })
    .join('\n');
}

function flowText(flows: readonly NicChange[], colours: Colours): string {
  if (flows.length === 0) return '';
  const lines = tellChanges(flows).map(({ text, opens }) => `${opens ? colours.green(text) : colours.red(text)}\n`);
  return `${colours.bold('in words:')}\n${lines.join('')}`;
}
