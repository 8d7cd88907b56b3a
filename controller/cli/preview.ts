/** `routewall preview`: what would change in the kernel. */

import { describeFlows, type ToldChange } from '../explain/describe-changes.ts';
import { readFlowChanges } from '../explain/flow-changes.ts';
import { previewProblems } from '../explain/shadow-warnings.ts';
import { type Change, compareWithKernel, readKernel } from '../kernel/kernel-comparison.ts';
import { readLinks } from '../kernel/observe.ts';
import { describePanic } from '../panic/describe-panic.ts';
import { viewPanic } from '../panic/panic-state.ts';
import { parsePreview, type ToldPreview } from '../status/told-answers.ts';
import { EXIT } from './exit.ts';
import type { Colours } from './io.ts';
import type { Invocation } from './options.ts';
import { placeProblems, printProblems } from './print-problems.ts';
import { readConfig } from './read-config.ts';
import { readHost, requireKnown } from './read-host.ts';
import { restrict } from './render.ts';
import { askServing } from './serving-daemon.ts';

export async function runPreview(
  invocation: Invocation,
  { exitCode }: { readonly exitCode: boolean },
): Promise<number> {
  const { io, shared, colours, errColours } = invocation;
  const { names } = shared;
  const preview = (await askServing(invocation, 'Preview', [names], parsePreview)) ?? (await previewHost(invocation));
  requireKnown(names, preview.known);
  printProblems(io.err, errColours, preview.problems);
  io.out.write(shared.json ? `${JSON.stringify(toJson(preview), null, 2)}\n` : asText(preview, colours));
  return exitCode && preview.changed ? EXIT.no : EXIT.fine;
}

async function previewHost(invocation: Invocation): Promise<ToldPreview> {
  const { io, shared } = invocation;
  const run = await io.loadReader();
  // Of which both sides need to know.
  const links = readLinks(run);
  links.catch(() => undefined);
  const reading = readConfig(shared).then(({ config }) => readKernel(run, config?.backend ?? 'auto', links));
  // Awaited below; until then a failure of the files has precedence.
  reading.catch(() => undefined);
  const host = await readHost(invocation, links);
  const assembled = host.assembler.assemble(host.inputs);
  const known = host.containers.map(({ container }) => container.name);
  requireKnown(shared.names, known);
  const comparison = await compareWithKernel(run, restrict(assembled.desired, allIds(host.containers)), reading);
  const changes = readFlowChanges(
    comparison,
    { ...assembled, desired: comparison.desired },
    host.inputs.loaded,
    host.inputs.now,
  );
  const problems = previewProblems(host.inputs, assembled, host.inputs.containers, changes);
  return {
    ...comparison,
    ...describeFlows(changes, shared.names),
    problems: placeProblems(problems, shared.shown.policies),
    known,
    panic: host.panic,
  };
}

const allIds = (containers: readonly { readonly container: { readonly id: string } }[]): Set<string> =>
  new Set(containers.map(({ container }) => container.id));

function toJson({ changed, ruleset, routes, neighbourProxies, gateways, flows, panic }: ToldPreview): unknown {
  return { changed, ruleset, routes, neighbourProxies, gateways, flows, panic: viewPanic(panic) };
}

function asText(preview: ToldPreview, colours: Colours): string {
  const sealed = describePanic(preview.panic).map((line) => `${colours.red(line)}\n`);
  if (!preview.changed)
    return [...sealed, 'nothing would change for what runs: the kernel holds what the files say\n'].join('');
  const parts = [
    ...sealed,
    colourDiff(preview.ruleset, colours),
    changeText('routes', preview.routes, colours),
    changeText('neighbour proxies', preview.neighbourProxies, colours),
    changeText('gateway addresses', preview.gateways, colours),
    flowText(preview.words, colours),
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

function flowText(words: readonly ToldChange[], colours: Colours): string {
  if (words.length === 0) return '';
  const lines = words.map(({ text, opens }) => `${opens ? colours.green(text) : colours.red(text)}\n`);
  return `${colours.bold('in words:')}\n${lines.join('')}`;
}
