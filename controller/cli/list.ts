/** `routewall list`: what is known of each container. */

import { observingText } from '../denials/observing.ts';
import { type ListedContainer, type ListedNic, listContainer } from '../status/list-containers.ts';
import { parseListed } from '../status/told-answers.ts';
import { EXIT } from './exit.ts';
import type { Colours } from './io.ts';
import type { Invocation } from './options.ts';
import { policyName, policyStanding, standingColour } from './policy-standing.ts';
import { placeProblems, plural, printProblems, shownPath } from './print-problems.ts';
import { readConfig } from './read-config.ts';
import { readHost, selectNamed } from './read-host.ts';
import { askServing } from './serving-daemon.ts';
import { renderTable } from './table.ts';
import { policyInVain } from './without-nics.ts';

export async function runList(invocation: Invocation): Promise<number> {
  const { io, shared, colours, errColours } = invocation;
  const all = (await askServing(invocation, 'List', [], parseListed)) ?? (await listHost(invocation));
  const listed = selectNamed(all, shared.names, ({ container }) => container);
  if (shared.json) {
    io.out.write(`${JSON.stringify(listed, null, 2)}\n`);
    return EXIT.fine;
  }
  if (listed.length === 0) {
    const { config } = await readConfig(shared);
    io.err.write(`no containers in ${config?.lxcPaths.join(', ')}; -P names another LXC path\n`);
    return EXIT.fine;
  }
  io.out.write(renderTable([heading(colours), ...listed.flatMap((container) => rows(container, colours))]));
  const problems = listed.flatMap((container) => container.problems);
  if (problems.length > 0) io.err.write(`\n${plural(problems.length, 'problem')}:\n`);
  printProblems(io.err, errColours, problems);
  return EXIT.fine;
}

async function listHost(invocation: Invocation): Promise<ListedContainer[]> {
  const host = await readHost(invocation);
  const assembled = host.assembler.assemble(host.inputs);
  return host.containers
    .map((container) => listContainer(container, assembled))
    .map((container) => withShownPaths(container, invocation.shared.shown.policies));
}

const withShownPaths = (container: ListedContainer, folder: string): ListedContainer => ({
  ...container,
  policy: {
    ...container.policy,
    file: container.policy.file === null ? null : shownPath(container.policy.file, folder),
  },
  problems: placeProblems(container.problems, folder),
});

const heading = (colours: Colours): string[] =>
  ['CONTAINER', 'STATE', 'POLICY', 'NIC', 'HOST VETH', 'ADDRESSES'].map((text) => colours.bold(text));

function rows(container: ListedContainer, colours: Colours): string[][] {
  const state = container.state === 'RUNNING' ? colours.green('running') : colours.dim(container.state.toLowerCase());
  const head = [container.container, state, policyText(container, colours)];
  if (container.nics.length === 0) return [[...head, container.unenforced?.join(', ') ?? colours.dim('none')]];
  return container.nics.flatMap((nic, index) => [
    [...(index === 0 ? head : ['', '', '']), ...nicCells(nic, colours)],
    ...(nic.translations ?? []).map((text) => ['', '', '', '', '', colours.dim(text)]),
  ]);
}

function policyText({ policy, nics, problems, sealed, unenforced = [] }: ListedContainer, colours: Colours): string {
  const [name, standing] = [policyName(policy), policyStanding(policy)];
  if (!nics.some((nic) => isOurs(nic, unenforced))) return policyInVain(policy.file, unenforced, colours);
  if (sealed) return colours.red(`${name}: sealed by panic`);
  if (standing !== undefined) return standingColour(policy, colours)(`${name}: ${standing}`);
  if (policy.observing !== null) {
    const { until } = policy.observing;
    return colours.yellow(`${name}: ${observingText(policy.observing)} until ${until.slice(0, 16).replace('T', ' ')}`);
  }
  return problems.length > 0 ? `${name} ${colours.yellow('!')}` : name;
}

const isOurs = ({ kind, name }: ListedNic, unenforced: readonly string[]): boolean =>
  kind === 'routed' || (kind === 'bridged' && !unenforced.some((text) => text.startsWith(`${name} (`)));

function nicCells(
  { index, name, kind, type, link, hostVeth, addresses, routes, awaitsLease }: ListedNic,
  colours: Colours,
): string[] {
  const label = name === String(index) ? `#${index}` : name;
  const where = link === null ? '' : ` on ${link}`;
  if (type === 'none') return [colours.red(`${label} (none)`), '-', '-'];
  const shown =
    kind === 'routed'
      ? label
      : colours.dim(`${label} (${kind === 'bridged' || kind === 'wired' ? kind : type}${where})`);
  const waiting = awaitsLease === true ? [colours.yellow('waits for a lease')] : [];
  const prefixes = [...addresses.map((prefix) => prefix.replace(/\/(32|128)$/, '')), ...routes, ...waiting];
  return [shown, hostVeth ?? '-', prefixes.join(' ') || '-'];
}
