/** The command line's answers, from what the daemon knows already; paths are absolute. */

import type { CompiledPolicy } from '../../policies/compile-policy.ts';
import { loadPolicies } from '../../policies/load-policies.ts';
import { heldPublication } from '../../policies/nic-nat.ts';
import type { PolicyFiles } from '../../policies/policy-files.ts';
import { type Problem, uniqueProblems } from '../../policies/problem.ts';
import type { DesiredState } from '../../render/desired.ts';
import { placeProblems } from '../cli/print-problems.ts';
import type { Run } from '../commands/run.ts';
import { describeAnswers, type Question } from '../explain/answer-question.ts';
import { describeFlows } from '../explain/describe-changes.ts';
import { readFlowChanges } from '../explain/flow-changes.ts';
import { readGuardedWays } from '../explain/guarded-ways.ts';
import { previewProblems, shadowWarnings } from '../explain/shadow-warnings.ts';
import type { HostReader } from '../host/host-reader.ts';
import { type Change, compareWithKernel, readKernel } from '../kernel/kernel-comparison.ts';
import type { KnownRight } from '../kernel/known-right.ts';
import { isSealed, type PanicState, viewPanic } from '../panic/panic-state.ts';
import { asIfRunning } from '../pass/as-if-running.ts';
import { type Assembled, createAssembler, type HostInputs, problemsOf } from '../pass/assemble.ts';
import { digestOf } from '../revisions/revision.ts';
import { listContainer } from '../status/list-containers.ts';
import { policyProblems } from '../status/policy-problems.ts';
import type { ToldComparison } from '../status/told-answers.ts';

/** What the daemon knows after its last pass. */
export interface Known {
  readonly reader: HostReader;
  readonly assembled: Assembled;
  readonly panic: PanicState;
}

/** The host as it is, under the policies that were saved: they may wait for `apply` or a confirmation. */
interface Saved {
  readonly files: PolicyFiles;
  readonly inputs: HostInputs;
  readonly assembled: Assembled;
}

function readSaved({ reader, assembled }: Known): Saved {
  const disk = reader.folder.files ?? reader.files;
  // Broken policies are answered for as they would be enforced.
  const inputs = reader.inputs(lastGoodOf(assembled));
  if (disk === reader.files || digestOf(disk) === digestOf(reader.files)) return { files: disk, inputs, assembled };
  const saved = { ...inputs, loaded: loadPolicies(disk, reader.loaded) };
  return { files: disk, inputs: saved, assembled: createAssembler(heldIn(assembled.desired)).assemble(saved) };
}

/** As what an earlier run left in the kernel: whoever has an address or a published port keeps it. */
const heldIn = ({ nics }: DesiredState): ReadonlySet<string> =>
  new Set(
    [...nics.values()].flatMap(({ hostVeth, owned, nat }) => [
      ...owned.map((prefix) => `${hostVeth} ${prefix}`),
      ...(nat?.publications ?? []).map(heldPublication),
    ]),
  );

function lastGoodOf({ policies }: Assembled): ReadonlyMap<string, CompiledPolicy> {
  return new Map([...policies.values()].flatMap(({ good }) => (good === undefined ? [] : [[good.container, good]])));
}

export function describeList(known: Known, folder: string): unknown {
  const { reader } = known;
  const { inputs, assembled } = readSaved(known);
  const { veths } = inputs;
  return [...reader.known.values()]
    .sort((a, b) => (a.container.id < b.container.id ? -1 : 1))
    .map(({ container, lxc, runtime }) =>
      listContainer(
        { container, lxc, state: runtime.state, veths, isSealed: isSealed(known.panic, container.name) },
        assembled,
      ),
    )
    .map((listed) => ({
      ...listed,
      policy: { ...listed.policy, file: listed.policy.file === null ? null : `${folder}/${listed.policy.file}` },
      problems: placeProblems(listed.problems, folder),
    }));
}

/** Whatever runs: a file is as right or wrong as without. `names`: of these containers alone, unless empty. */
export function describeCheck(
  known: Known,
  inConfig: readonly Problem[],
  folder: string,
  names: readonly string[],
): unknown {
  const { reader } = known;
  const { files, inputs: present, assembled: asItIs } = readSaved(known);
  const inputs = { ...present, veths: new Map(), lastGood: new Map() };
  // What is broken counts by its last good policy there, and who holds a hardware address by what runs.
  const isPlain = !reader.hasBridges && [...asItIs.policies.values()].every(({ compiled }) => compiled.ok);
  const assembled = isPlain ? asItIs.withVeths(inputs.veths) : createAssembler().assemble(inputs);
  const chosen = [...reader.known.values()].filter(
    ({ container, lxc, name }) =>
      (names.length === 0 || names.includes(name)) &&
      (container.endpoints.length > 0 ||
        container.unenforceable !== undefined ||
        inputs.loaded.containers.has(name) ||
        !lxc.loadable),
  );
  const inContainers = chosen.flatMap(({ container }) => problemsOf(assembled, container));
  const inPolicies = names.length > 0 ? [] : policyProblems(inputs, assembled);
  const shadowed = shadowWarnings(inputs, assembled, names.length > 0 ? names : undefined);
  const problems = uniqueProblems([...inPolicies, ...shadowed, ...inContainers]);
  return {
    problems: [...inConfig, ...assembled.wireProblems, ...placeProblems(problems, folder)],
    policyFiles: files.size,
    containers: chosen.length,
    known: [...reader.known.values()].map(({ name }) => name),
  };
}

const NO_CHANGE: Change = { add: [], remove: [] };
const UNCHANGED: ToldComparison = {
  backend: 'nftables',
  ...{ changed: false, ruleset: '', routes: NO_CHANGE, neighbourProxies: NO_CHANGE, gateways: NO_CHANGE },
};

/** A preview for anyone who asks; `names` as in `describeFlows`. */
export type Preview = (names: readonly string[]) => unknown;

/** @throws CommandError where the kernel can't be listed. */
export async function readPreview(
  run: Run,
  latest: Known,
  { folder, right }: { readonly folder: string; readonly right: KnownRight },
): Promise<Preview> {
  const { inputs, assembled } = readSaved(latest);
  const comparison = await right.compare(assembled.desired, () =>
    compareWithKernel(run, assembled.desired, readKernel(run, inputs.config.backend)),
  );
  const { changed, ruleset, routes, neighbourProxies, gateways } = comparison ?? UNCHANGED;
  const known = [...latest.reader.known.values()];
  const changes = comparison === undefined ? [] : readFlowChanges(comparison, assembled, inputs.loaded, inputs.now);
  const containers = known.map(({ container }) => container);
  const problems = previewProblems(inputs, assembled, containers, changes);
  return (names) => ({
    ...{ changed, ruleset, routes, neighbourProxies, gateways, ...describeFlows(changes, names) },
    problems: placeProblems(problems, folder),
    known: known.map(({ name }) => name),
    panic: viewPanic(latest.panic),
  });
}

/** The kernel against what is in force. @throws CommandError where the kernel can't be listed. */
export async function readComparison(
  run: Run,
  { reader, assembled }: Known,
  right: KnownRight,
): Promise<ToldComparison> {
  const { desired } = assembled;
  const comparison = await right.compare(desired, () =>
    compareWithKernel(run, desired, readKernel(run, reader.config.backend)),
  );
  const { backend, changed, ruleset, routes, neighbourProxies, gateways } = comparison ?? UNCHANGED;
  return { backend, changed, ruleset, routes, neighbourProxies, gateways };
}

/** @throws QuestionError */
export async function explainKnown(run: Run, known: Known, question: Question, folder: string): Promise<unknown> {
  const { files, inputs, assembled } = readSaved(known);
  const all = asIfRunning(assembled, inputs);
  const guardedWays = await readGuardedWays(run, all, question);
  return describeAnswers({ files, inputs, assembled: all, panic: known.panic, guardedWays }, question, folder);
}
