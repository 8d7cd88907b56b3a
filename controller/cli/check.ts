/** `routewall check`: every mistake in the configuration, the policies and what LXC says about containers of ours. */
import { statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { rangesOfPrefixes } from '../../policies/address-book.ts';
import { claimedPrefixes } from '../../policies/compile-nic.ts';
import { policyOfNic } from '../../policies/compile-policy.ts';
import { defaultConfig, type HostConfig, parseConfig } from '../../policies/config.ts';
import type { Container } from '../../policies/endpoint.ts';
import { expectationFacts } from '../../policies/expectations/expectation-facts.ts';
import { checkExpectations } from '../../policies/expectations/fleet.ts';
import { createWorld, type Party } from '../../policies/expectations/world.ts';
import { loadPolicies } from '../../policies/load-policies.ts';
import { policyFileKind, policyFolders } from '../../policies/policy-files.ts';
import { isError, type Problem, uniqueProblems } from '../../policies/problem.ts';
import { readWholeFile } from '../../policies/read-file.ts';
import { readPolicyFiles } from '../../policies/read-policy-files.ts';
import { type FileContent, maxListBytes } from '../../policies/source-text.ts';
import { parseLxcConfig } from '../../watchers/lxc-config/parse-config.ts';
import { realFiles } from '../../watchers/lxc-config/real-files.ts';
import { shadowWarnings } from '../explain/shadow-warnings.ts';
import { describeContainer } from '../host/containers.ts';
import { type Assembled, createAssembler, problemsOf } from '../pass/assemble.ts';
import { policyProblems } from '../status/policy-problems.ts';
import { parseCheck } from '../status/told-answers.ts';
import { CliError, EXIT } from './exit.ts';
import { mislaidPolicies, policiesOfNobody } from './mislaid-policies.ts';
import { missingOnHost } from './missing-on-host.ts';
import type { Invocation } from './options.ts';
import { placeProblems, plural, printProblems, summarize } from './print-problems.ts';
import { readConfig } from './read-config.ts';
import { type CliHost, readHostUnder, requireKnown, selectContainers } from './read-host.ts';
import { askServing } from './serving-daemon.ts';
import { ofNobodyText } from './unprotected.ts';

interface Checked {
  readonly problems: readonly Problem[];
  /** Such as `3 policy files`. */
  readonly what: string;
  /** Policy files that no container has now; not a mistake. */
  readonly ofNobody?: readonly string[];
}

/** `expectFile`: what must hold of all policies together. */
export async function runCheck(
  invocation: Invocation,
  files: readonly string[],
  expectFile: string | undefined,
): Promise<number> {
  const { io, shared, colours } = invocation;
  if (files.length > 0 && shared.names.length > 0)
    throw new CliError(EXIT.usage, 'check: a file that is named is checked whole; leave out -n, or the files');
  const checked = files.length > 0 ? await checkFiles(invocation, files) : await checkAll(invocation);
  const expected = expectFile === undefined ? NOTHING : await checkExpectFile(invocation, expectFile);
  const problems = [...checked.problems, ...expected.problems];
  const what = [checked.what, expected.what].filter((part) => part !== '').join(' and ');
  if (shared.json) io.out.write(`${JSON.stringify(problems, null, 2)}\n`);
  else {
    printProblems(io.out, colours, problems, { resolve: (file) => resolve(io.folder, file) });
    io.out.write(`${what} checked: ${summarize(problems)}\n`);
    if (checked.ofNobody?.length) io.out.write(`${colours.dim(ofNobodyText(checked.ofNobody))}\n`);
  }
  return problems.some(isError) ? EXIT.no : EXIT.fine;
}

const NOTHING: Checked = { problems: [], what: '' };

/** A policy that is broken lets nothing pass here: what else would hold of it is in no file. */
async function checkExpectFile(invocation: Invocation, file: string): Promise<Checked> {
  const content = await readGiven(resolve(invocation.io.folder, file), file);
  const { config } = await readConfig(invocation.shared);
  const { inputs, assembler } = await readHostUnder(config ?? fallbackConfig(invocation), invocation, 'files');
  const assembled = assembler.assemble(inputs);
  const { network, book } = assembled;
  const { containers, loaded, now } = inputs;
  const facts = expectationFacts({ network, book, containers, accept: inputs.config.dns.accept });
  const world = createWorld(partiesOf(containers, assembled), facts);
  const { problems, count } = checkExpectations(file, content, world, { loaded, book, now });
  return { problems, what: plural(count, 'expectation') };
}

const partiesOf = (containers: readonly Container[], { policies }: Assembled): Party[] =>
  containers.flatMap(({ id, name, endpoints }) => {
    const enforced = policies.get(id)?.enforced;
    if (enforced === undefined) return [];
    return endpoints.map((endpoint, position): Party => {
      const routes = position === 0 ? enforced.routes.map(({ prefix }) => prefix) : [];
      const chains = policyOfNic(enforced, { name: endpoint.nic, index: endpoint.index });
      return { container: name, ...chains, owned: rangesOfPrefixes(claimedPrefixes(endpoint, routes)) };
    });
  });

const fallbackConfig = ({ shared }: Invocation): HostConfig => ({
  ...defaultConfig,
  lxcPaths: shared.lxcPaths ?? defaultConfig.lxcPaths,
});

async function checkAll(invocation: Invocation): Promise<Checked> {
  const { shared } = invocation;
  const told = await askServing(invocation, 'Check', [shared.names], parseCheck);
  if (told !== undefined) {
    requireKnown(shared.names, told.known);
    const problems = [...told.problems, ...mislaid(invocation, told.known)];
    return { problems, what: whatOf(told.policyFiles, told.containers), ofNobody: ofNobody(invocation, told.known) };
  }
  const { config, problems: inConfig } = await readConfig(shared);
  const host = await readHostUnder(config ?? fallbackConfig(invocation), invocation, 'files');
  const assembled = host.assembler.assemble(host.inputs);
  const inPolicies = shared.names.length > 0 ? [] : policyProblems(host.inputs, assembled);
  const names = shared.names.length > 0 ? shared.names : undefined;
  const shadowed = shadowWarnings(host.inputs, assembled, names);
  const known = host.containers.map(({ container }) => container.name);
  const chosen = selectContainers(host.containers, shared.names).filter((entry) => concernsUs(entry, host));
  const inContainers = chosen.flatMap(({ container }) => problemsOf(assembled, container));
  return {
    problems: [
      ...inConfig,
      ...assembled.wireProblems,
      ...placeProblems(uniqueProblems([...inPolicies, ...shadowed, ...inContainers]), shared.shown.policies),
      ...mislaid(invocation, known),
    ],
    what: whatOf(host.files.size, chosen.length),
    ofNobody: ofNobody(invocation, known),
  };
}

/** The daemon reads no file that is none of its own; so whoever asks looks. */
function mislaid({ shared }: Invocation, known: readonly string[]): Problem[] {
  const { names, configFile, lxcPaths, stateFile, shown } = shared;
  const isWhole = names.length === 0 && lxcPaths === undefined && stateFile === undefined;
  return [
    ...(isWhole ? missingOnHost(configFile, shown.config) : []),
    ...placeProblems(mislaidPolicies(shared.policyFolder, { known, names }), shown.policies),
  ];
}

/** Nothing where the question is about some containers alone. */
const ofNobody = ({ shared }: Invocation, known: readonly string[]): string[] =>
  shared.names.length > 0 ? [] : policiesOfNobody(shared.policyFolder, known);

const whatOf = (files: number, containers: number): string =>
  `${plural(files, 'policy file')} and ${plural(containers, 'container')}`;

/** A container that neither has a routed NIC nor a policy is its owner's business, unless it can't start at all. */
const concernsUs = ({ container, lxc }: CliHost['containers'][number], { inputs }: CliHost): boolean =>
  container.endpoints.length > 0 ||
  container.unenforceable !== undefined ||
  inputs.loaded.containers.has(container.name) ||
  !lxc.loadable;

async function checkFiles(invocation: Invocation, files: readonly string[]): Promise<Checked> {
  const problems: Problem[] = [];
  for (const file of files) problems.push(...(await checkFile(invocation, file)));
  return { problems: uniqueProblems(problems), what: plural(files.length, 'file') };
}

async function checkFile(invocation: Invocation, file: string): Promise<Problem[]> {
  const { io, shared } = invocation;
  const path = resolve(io.folder, file);
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true)
    throw new CliError(EXIT.usage, `${file}: is a folder: without a file's name, all policies are checked`);
  const content = await readGiven(path, file);
  const base = basename(path);
  if (path === shared.configFile || /^routewall\.(ya?ml|json)$/.test(base))
    return [...parseConfig(file, content).problems, ...missingOnHost(path, file)];
  if (base === 'config') return checkLxcConfig(path);
  const { folder, name } = placeInFolder(path, shared.policyFolder);
  if (policyFileKind(name) === undefined) {
    throw new CliError(
      EXIT.usage,
      `${file}: no policy by its name: policies end in .yaml, .yml or .json, sets in .txt too`,
    );
  }
  const found = await checkPolicyFile(invocation, folder, name, content);
  return found.map((problem) => ({ ...problem, file }));
}

/** Whoever it belongs to: it is asked about by name, and nothing of it is enforced. */
async function readGiven(path: string, file: string): Promise<FileContent> {
  try {
    return await readWholeFile(path, { maxBytes: maxListBytes, strict: false });
  } catch (cause) {
    throw new CliError(EXIT.usage, `${file}: there is no such file`, { cause });
  }
}

function checkLxcConfig(path: string): Problem[] {
  const name = basename(dirname(path));
  return [...describeContainer(dirname(dirname(path)), name, parseLxcConfig(path, realFiles)).problems];
}

/** The folder's name tells what a file is; a file that lies elsewhere is checked as a container's policy. */
function placeInFolder(path: string, policyFolder: string): { readonly folder: string; readonly name: string } {
  const parent = basename(dirname(path));
  const base = basename(path);
  if (policyFolders.some((folder) => folder === parent)) {
    return { folder: dirname(dirname(path)), name: `${parent}/${base}` };
  }
  if (policyFileKind(base)?.kind === 'services') return { folder: dirname(path), name: base };
  return { folder: policyFolder, name: `containers/${base}` };
}

/** Its profiles, sets and services are those beside it. */
async function checkPolicyFile(
  invocation: Invocation,
  folder: string,
  name: string,
  content: FileContent,
): Promise<Problem[]> {
  const { config } = await readConfig(invocation.shared);
  const host = await readHostUnder(config ?? fallbackConfig(invocation), invocation, 'files');
  const loaded = loadPolicies(new Map([...(await readPolicyFiles(folder)), [name, content]]));
  const inputs = { ...host.inputs, loaded };
  const assembled = createAssembler().assemble(inputs);
  return [...policyProblems(inputs, assembled), ...shadowWarnings(inputs, assembled)].filter(
    (problem) => join(folder, problem.file) === join(folder, name),
  );
}
