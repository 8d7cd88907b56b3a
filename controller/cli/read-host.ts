/** Everything that commands answer from: the files, and the live host or what stands in for it. */
import { existsSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { CompiledPolicy } from '../../policies/compile-policy.ts';
import type { HostConfig } from '../../policies/config.ts';
import type { HostLink } from '../../policies/host-network.ts';
import { CONTAINERS, type PolicyFiles } from '../../policies/policy-files.ts';
import { NO_FACTS } from '../../policies/uplink-facts.ts';
import type { DnsAddresses } from '../../render/dns-name.ts';
import type { InterfaceName } from '../../render/names.ts';
import { servedBackend } from '../apply/choose-backend.ts';
import { nicName } from '../host/containers.ts';
import { HostReader } from '../host/host-reader.ts';
import type { KnownContainer } from '../host/known-containers.ts';
import { suggestContainer } from '../host/suggest-container.ts';
import { uplinkChoices } from '../host/uplink-facts.ts';
import { placed } from '../json-shape.ts';
import { messageOf } from '../log.ts';
import { isSealed, NO_PANIC, type PanicState, parsePanic, readPanic } from '../panic/panic-state.ts';
import { type Assembler, createAssembler, type HostInputs } from '../pass/assemble.ts';
import { readTaken } from '../probe/taken-file.ts';
import { readFilesInForce } from '../revisions/files-in-force.ts';
import { DnsMemory } from '../state/dns-memory.ts';
import { LastGood } from '../state/last-good.ts';
import { recallPolicies, shutByErrors } from '../state/recall-policies.ts';
import type { ContainerToList } from '../status/list-containers.ts';
import { readStatusFile } from '../status/status-file.ts';
import { CliError, EXIT } from './exit.ts';
import type { Invocation, SharedOptions } from './options.ts';
import { printProblems } from './print-problems.ts';
import { readConfig } from './read-config.ts';
import { readStateFile, type StateContainer, type StateFile } from './state-file.ts';

export interface CliHost {
  readonly config: HostConfig;
  readonly files: PolicyFiles;
  readonly inputs: HostInputs;
  /** Has compiled from these inputs already: who asks again gets what it remembers. */
  readonly assembler: Assembler;
  /** Sorted by id. */
  readonly containers: readonly ContainerToList[];
  readonly panic: PanicState;
}

/** This host's links, as somebody reads them already. */
type Links = Promise<readonly HostLink[]>;

/** @throws CliError; complains of a broken configuration first. */
export async function readHost(invocation: Invocation, links?: Links): Promise<CliHost> {
  return readHostUnder(await readValidConfig(invocation), invocation, 'everything', links);
}

/** The same with the policies that are in force, where saved files wait for something. */
export async function readHostInForce(invocation: Invocation, links?: Links): Promise<CliHost> {
  return readHostUnder(await readValidConfig(invocation), invocation, 'in-force', links);
}

/** As `readHostInForce`, for who asks for just that. @throws CliError where it can't be known */
export async function readAllInForce(invocation: Invocation): Promise<CliHost> {
  const { shared, io } = invocation;
  if (shared.stateFile !== undefined)
    throw new CliError(EXIT.usage, `--in-force asks the live host, for which --state stands in`);
  if (!io.isRoot) throw new CliError(EXIT.refused, 'only root can read what is in force');
  return await readHostInForce(invocation);
}

/** `files`: what runs isn't asked for, and where the host can't be asked for its addresses, that is no failure. */
export async function readHostUnder(
  config: HostConfig,
  { shared, io }: Invocation,
  depth: 'everything' | 'in-force' | 'files',
  firstLinks?: Links,
): Promise<CliHost> {
  requireFolders(shared);
  const run = await io.loadReader();
  const answers = await recallAnswers(config, shared.stateDirectory);
  const taken = shared.stateFile === undefined && config.probe ? readTaken(shared.runtimeDirectory) : new Map();
  // While the files are read, whose failure has precedence.
  const asked = shared.stateFile === undefined ? servedBackend(run, config.backend) : undefined;
  asked?.catch(() => undefined);
  const reader = new HostReader({
    ...{ config, policyFolder: shared.policyFolder, run, isOnce: true, firstLinks },
    answers: () => answers,
    taken: () => taken,
  });
  if (shared.stateFile !== undefined) return readFromState(reader, config, await readStateFile(shared.stateFile));
  if (depth !== 'files') await reader.readAll();
  else {
    await reader.readFiles((cause) => {
      io.err.write(`conflicts with this host's addresses are not checked: ${messageOf(cause)}\n`);
    });
  }
  // Only the daemon's own user can look in there.
  if (depth === 'in-force' && process.getuid?.() === 0)
    reader.useFiles(await readFilesInForce(shared.stateDirectory, reader.files, reader.following));
  const assembler = createAssembler();
  const backend = await asked;
  const inputsWith = (lastGood?: ReadonlyMap<string, CompiledPolicy>): HostInputs => ({
    ...reader.inputs(lastGood),
    backend,
  });
  const lastGood = depth !== 'files' ? await recallLastGood(assembler, inputsWith(), shared.stateDirectory) : undefined;
  await readUplinks(assembler, reader, inputsWith(lastGood)).catch((cause: unknown) => {
    io.err.write(`what this host's routers are is not known: ${messageOf(cause)}\n`);
  });
  const inputs = inputsWith(lastGood);
  const { files } = reader;
  const panic = await readKnownPanic(shared);
  return {
    config,
    files,
    inputs,
    assembler,
    containers: sorted(reader).map((known) => toList(known, inputs.veths, panic)),
    panic,
  };
}

async function readUplinks(assembler: Assembler, reader: HostReader, inputs: HostInputs): Promise<void> {
  if (![...reader.files.values()].some((file) => String(file).includes('uplink'))) return;
  const { policies, network } = assembler.assemble(inputs);
  await reader.uplinks.read(uplinkChoices(policies.values()), network.uplinks, true);
}

/** Half a configuration might open what the other half would close. */
async function readValidConfig(invocation: Invocation): Promise<HostConfig> {
  const { config, problems } = await readConfig(invocation.shared);
  if (config !== undefined) return config;
  printProblems(invocation.io.err, invocation.errColours, problems);
  throw new CliError(EXIT.no, `${invocation.shared.shown.config}: mend it first; nothing is read under half of it`);
}

function requireFolders({ policiesAreExplicit, policyFolder, shown, lxcPaths }: SharedOptions): void {
  if (policiesAreExplicit && !existsSync(policyFolder)) {
    throw new CliError(EXIT.usage, `--policies ${shown.policies}: there is no such folder`);
  }
  if (policiesAreExplicit) requirePolicyFolder(policyFolder, shown.policies);
  for (const path of lxcPaths ?? []) {
    if (!existsSync(path)) throw new CliError(EXIT.usage, `--lxc-path ${path}: there is no such folder`);
  }
}

/** All containers would go without a policy under what holds none. */
function requirePolicyFolder(folder: string, shown: string): void {
  if (!statSync(folder).isDirectory()) throw new CliError(EXIT.usage, `--policies ${shown}: is a file, not a folder`);
  if (basename(folder) === CONTAINERS && !existsSync(join(folder, CONTAINERS)))
    throw new CliError(EXIT.usage, `--policies ${shown}: holds policies itself: give the folder above it`);
}

const sorted = (reader: HostReader): KnownContainer[] =>
  [...reader.known.values()].sort((a, b) => (a.container.id < b.container.id ? -1 : 1));

/** What only root can look up, the daemon's status tells all. */
export async function readKnownPanic({ stateDirectory, runtimeDirectory }: SharedOptions): Promise<PanicState> {
  if (process.getuid?.() === 0) return await readPanic(stateDirectory);
  const status = await readStatusFile(runtimeDirectory).catch(() => undefined);
  return status === undefined ? NO_PANIC : parsePanic(placed(status.panic));
}

function toList(
  { container, lxc, runtime }: KnownContainer,
  veths: ReadonlyMap<string, string>,
  panic: PanicState,
  state = runtime.state,
): ContainerToList {
  return { container, lxc, state, veths, isSealed: isSealed(panic, container.name) };
}

async function readFromState(reader: HostReader, config: HostConfig, state: StateFile): Promise<CliHost> {
  await reader.readPolicies();
  reader.readTree();
  const known = sorted(reader);
  const told = statesById(state, known);
  const veths = new Map<string, InterfaceName>();
  const bridged = new Map<string, InterfaceName>();
  for (const container of known) collectVeths(container, told.get(container.container.id), { veths, bridged });
  const uplinkFacts = { ...NO_FACTS, defaults: state.defaults };
  const inputs = { ...reader.inputs(), veths, links: state.links, answers: state.answers, uplinkFacts };
  const all = new Map([...bridged, ...veths]);
  const containers = known.map((entry) =>
    toList(entry, all, NO_PANIC, told.get(entry.container.id)?.state ?? 'STOPPED'),
  );
  return { config, files: reader.files, inputs, assembler: createAssembler(), containers, panic: NO_PANIC };
}

/** A name stands for the first container that has it, an id for that one. */
function statesById({ containers }: StateFile, known: readonly KnownContainer[]): Map<string, StateContainer> {
  const ids = new Map<string, string>();
  for (const { name, container } of [...known].reverse()) ids.set(name, container.id);
  for (const { container } of known) ids.set(container.id, container.id);
  const told = new Map<string, StateContainer>();
  for (const [key, entry] of containers) {
    const id = ids.get(key);
    if (id === undefined) {
      const names = known.map(({ name }) => name);
      throw new CliError(
        EXIT.no,
        `--state: containers.${key}: there is no such container${suggestContainer(key, names)}`,
      );
    }
    told.set(id, entry);
  }
  return told;
}

function collectVeths(
  { container, lxc, name }: KnownContainer,
  told: StateContainer | undefined,
  into: { readonly veths: Map<string, InterfaceName>; readonly bridged: Map<string, InterfaceName> },
): void {
  if (told === undefined || told.state === 'STOPPED') return;
  for (const { key, fixedVeth } of container.endpoints) if (fixedVeth !== undefined) into.veths.set(key, fixedVeth);
  for (const [word, veth] of told.veths) {
    const nic = lxc.nics.find((each) => nicName(each) === word) ?? lxc.nics.find(({ index }) => String(index) === word);
    if (nic === undefined) {
      const known = lxc.nics.map(nicName).join(', ') || 'none';
      throw new CliError(EXIT.no, `--state: containers.${name}.veths.${word}: no such NIC; it has ${known}`);
    }
    const key = `${container.id}/${nic.index}`;
    const isRouted = container.endpoints.some((endpoint) => endpoint.key === key);
    (isRouted ? into.veths : into.bridged).set(key, veth);
  }
}

/** What the daemon goes on enforcing while a policy is broken; `undefined` for nothing. */
async function recallLastGood(
  assembler: Assembler,
  inputs: HostInputs,
  stateDirectory: string,
): Promise<ReadonlyMap<string, CompiledPolicy> | undefined> {
  // Only the daemon's own user can look in there.
  if (process.getuid?.() !== 0 || !existsSync(join(stateDirectory, 'last-good'))) return undefined;
  const shut = shutByErrors(assembler.assemble(inputs).policies);
  // To open it is to read all that it holds.
  if (shut.length === 0) return undefined;
  const lastGood = new LastGood(stateDirectory);
  await lastGood.open();
  const recalled = await recallPolicies(lastGood, shut, inputs.now);
  return recalled.size === 0 ? undefined : recalled;
}

/** What the daemon has for the policies' names; nothing where that can't be read. */
async function recallAnswers(config: HostConfig, stateDirectory: string): Promise<DnsAddresses> {
  const memory = new DnsMemory(stateDirectory, () => undefined);
  await memory.open(config.dns.keepSeconds);
  return memory.answers;
}

/** The containers that `-n` names; all of them without it. @throws CliError for a name that nobody has. */
export function selectContainers<T extends { readonly container: { readonly name: string } }>(
  containers: readonly T[],
  names: readonly string[],
): T[] {
  return selectNamed(containers, names, ({ container }) => container.name);
}

/** As `selectContainers`, whatever tells the name. */
export function selectNamed<T>(list: readonly T[], names: readonly string[], nameOf: (item: T) => string): T[] {
  requireKnown(names, list.map(nameOf));
  return list.filter((item) => names.length === 0 || names.includes(nameOf(item)));
}

/** @throws CliError for a name that nobody has. */
export function requireKnown(names: readonly string[], known: readonly string[]): void {
  for (const name of names) {
    if (!known.includes(name))
      throw new CliError(EXIT.usage, `there is no container "${name}"${suggestContainer(name, known)}`);
  }
}
