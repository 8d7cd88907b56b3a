/** Which policy each container gets: its own, the default, the last good one, or none. */
import type { AddressBook } from '../../policies/address-book.ts';
import { changedContainers } from '../../policies/changed-containers.ts';
import { compileAt } from '../../policies/compile-at.ts';
import { type CompiledPolicy, closedPolicy, createFreshCheck } from '../../policies/compile-policy.ts';
import { createTwinCompiler } from '../../policies/compile-twins.ts';
import type { HostConfig } from '../../policies/config.ts';
import type { Container } from '../../policies/endpoint.ts';
import { type ExpectationFacts, expectationFacts } from '../../policies/expectations/expectation-facts.ts';
import { createJudge } from '../../policies/expectations/judge-policy.ts';
import type { HostNetwork } from '../../policies/host-network.ts';
import type { LoadedPolicies } from '../../policies/load-policies.ts';
import type { EnforcedPolicy } from '../../policies/nic-plans.ts';
import { formatProblem } from '../../policies/problem.ts';
import { withoutEnded } from '../../policies/rule-ends.ts';
import { followParts } from '../../render/followed-parts.ts';
import { changedKeys, changeMap } from '../../render/shared-map.ts';
import type { PolicyStatus } from './policy-status.ts';

export interface ContainerPolicy {
  /** Relative to the policy folder; `null` where there is none. */
  readonly file: string | null;
  readonly status: PolicyStatus;
  /** What the files say; `compiled`: the same, broken where it isn't what they expect. */
  readonly written: CompiledPolicy;
  readonly compiled: CompiledPolicy;
  readonly enforced: EnforcedPolicy;
  /** What a file of the user's said when it was last good; absent where none ever was. */
  readonly good?: CompiledPolicy;
}

export type PolicyArguments = [
  containers: readonly Container[],
  loaded: LoadedPolicies,
  book: AddressBook,
  lastGood: ReadonlyMap<string, CompiledPolicy>,
  config: HostConfig,
  facts: () => ExpectationFacts,
];

/** Most hosts expect nothing of their policies, and need not pay for it. */
export function lazyFacts(
  network: HostNetwork,
  containers: readonly Container[],
  book: AddressBook,
  { dns }: HostConfig,
) {
  let facts: ExpectationFacts | undefined;
  return (): ExpectationFacts => {
    facts ??= expectationFacts({ network, containers, book, accept: dns.accept });
    return facts;
  };
}

/** Chooses anew from time to time: who gets the same keeps the same object, and all the same map. */
export class PolicyChooser {
  #chosen: ReadonlyMap<string, ContainerPolicy> = NOTHING;
  #last: PolicyArguments | undefined;
  readonly #unsureOf = followParts(unsureNames, (names) => new Set(names));

  get chosen(): ReadonlyMap<string, ContainerPolicy> {
    return this.#chosen;
  }

  forget(): void {
    this.#chosen = NOTHING;
    this.#last = undefined;
  }

  /** `now` in milliseconds. */
  choose(now: number, ...args: PolicyArguments): ReadonlyMap<string, ContainerPolicy> {
    const [containers] = args;
    const changes = this.#changeTo(args) ?? { gone: [...this.#chosen.keys()], looked: containers };
    this.#last = args;
    this.#chosen = choosePolicies(this.#chosen, changes, now, args);
    return this.#chosen;
  }

  /** `undefined` where anybody may get another. */
  #changeTo([containers, loaded, , lastGood, config]: PolicyArguments): Changes | undefined {
    if (this.#last === undefined) return undefined;
    const [known, files, , good, before] = this.#last;
    if (good !== lastGood || before !== config || !isSharedTheSame(files, loaded)) return undefined;
    const { gone, come } = changedContainers(known, containers);
    const names = new Set([...changedKeys(files.containers, loaded.containers), ...this.#unsureOf(this.#chosen)]);
    const others = names.size === 0 ? [] : containers.filter(({ name }) => names.has(name));
    return { gone: gone.map(({ id }) => id), looked: [...new Set([...come, ...others])] };
  }
}

const NOTHING: ReadonlyMap<string, ContainerPolicy> = new Map();
const NO_NAMES: readonly string[] = [];

/** Whether all files but containers' own are as they were. */
const isSharedTheSame = (before: LoadedPolicies, loaded: LoadedPolicies): boolean =>
  before.defaultPolicy === loaded.defaultPolicy &&
  before.services === loaded.services &&
  changedKeys(before.profiles, loaded.profiles).length === 0 &&
  changedKeys(before.sets, loaded.sets).length === 0;

/** The container, if its policy may be another by what no file says: addresses of others, the time, what it expects. */
const unsureNames = ({ written, compiled }: ContainerPolicy): readonly string[] =>
  compiled.ok && compiled === written && written.expectations.length === 0 && isOfFiles(written.lookups)
    ? NO_NAMES
    : [written.container];

const isOfFiles = (lookups: CompiledPolicy['lookups']): boolean =>
  lookups.every(({ kind }) => kind === 'profile' || kind === 'set' || kind === 'services');

interface Changes {
  /** Ids that may be there no more. */
  readonly gone: readonly string[];
  /** Who may get another policy. */
  readonly looked: readonly Container[];
}

function choosePolicies(
  before: ReadonlyMap<string, ContainerPolicy>,
  { gone, looked }: Changes,
  now: number,
  [, loaded, book, lastGood, { withoutPolicy }, facts]: PolicyArguments,
): ReadonlyMap<string, ContainerPolicy> {
  const changes = new Map<string, ContainerPolicy | undefined>(gone.map((id) => [id, undefined]));
  const sources = { loaded, book, now };
  const { judge } = createJudge(facts);
  const isFresh = createFreshCheck(sources, withoutPolicy);
  const compile = createTwinCompiler();
  for (const { id, name, endpoints } of looked) {
    changes.delete(id);
    const old = before.get(id);
    const fresh = old !== undefined && isFresh(old.written);
    const written = fresh ? old.written : compile(name, sources, { withoutPolicy, id });
    const compiled = judge(written, endpoints);
    // A good one is in force as it is, whatever the time.
    if (fresh && compiled.ok && compiled === old.compiled) continue;
    const next = { ...enforce(compiled, old?.good ?? lastGood.get(name), { id, now }), written };
    if (old === undefined || !isSame(old, next)) changes.set(id, next);
  }
  return changes.size === 0 ? before : changeMap(before, changes);
}

/** What is judged to be broken is made anew each time. */
const isSame = (old: ContainerPolicy, next: ContainerPolicy): boolean =>
  old.written === next.written &&
  old.enforced === next.enforced &&
  (old.compiled === next.compiled || sameProblems(old.compiled, next.compiled));

const sameProblems = ({ problems: a }: CompiledPolicy, { problems: b }: CompiledPolicy): boolean =>
  a.length === b.length &&
  a.every((problem, index) => formatProblem(problem) === (b[index] && formatProblem(b[index])));

function enforce(
  compiled: CompiledPolicy,
  lastGood: CompiledPolicy | undefined,
  { id, now }: { readonly id: string; readonly now: number },
): Omit<ContainerPolicy, 'written'> {
  const { file, ok } = compiled;
  if (ok) {
    if (file === null) return { file, status: compiled.withoutPolicy, compiled, enforced: compiled };
    return { file, status: 'ok', compiled, enforced: compiled, good: compiled };
  }
  if (lastGood !== undefined) {
    // Time goes on for it, also backwards: what ended while the clock was wrong comes back with it.
    const again = compileAt(lastGood, id, now);
    // No good policy at that moment, such as one that would observe for too long.
    if (!again.ok)
      return { file, status: 'last-good', compiled, enforced: withoutEnded(lastGood, now), good: lastGood };
    return { file, status: 'last-good', compiled, enforced: again, good: again };
  }
  return { file, status: 'closed', compiled, enforced: CLOSED };
}

const CLOSED: EnforcedPolicy = { default: closedPolicy, interfaces: new Map(), routes: [] };
