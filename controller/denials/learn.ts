/** A policy proposed from what a container's present one refused, or would have refused while it was observed. */
import { isDeepStrictEqual } from 'node:util';
import type { CompiledPolicy } from '../../policies/compile-policy.ts';
import type { Container, Endpoint } from '../../policies/endpoint.ts';
import type { Expectation } from '../../policies/expectations/expectation.ts';
import { type Addition, type Edited, editPolicy } from '../../policies/learn/edit-policy.ts';
import type { PeerNames } from '../../policies/learn/name-peers.ts';
import { type ProposedRule, proposeRules } from '../../policies/learn/propose-rules.ts';
import type { LeftOut, Seen } from '../../policies/learn/seen.ts';
import { loadPolicies } from '../../policies/load-policies.ts';
import { isPublic } from '../../policies/model.ts';
import { shownFile } from '../../policies/policy-files.ts';
import { isError } from '../../policies/problem.ts';
import type { PolicyChain } from '../../render/rule.ts';
import { isHostAddress } from '../explain/flow-sides.ts';
import { factsOf } from '../explain/trace-flow.ts';
import { nicIndexOf } from '../host/nic-index.ts';
import { assembleAsIfRunning } from '../pass/as-if-running.ts';
import type { Assembled, HostInputs } from '../pass/assemble.ts';
import { chainOfNic, judgeCounted } from './judge-counted.ts';

export interface LearnHost {
  readonly inputs: HostInputs;
  /** As if all containers ran. */
  readonly assembled: Assembled;
}

export interface Learned {
  /** The whole file, in YAML. */
  readonly text: string;
  /** It had to be written anew in parts, since it stood in brackets. */
  readonly rewritten: boolean;
  readonly rules: readonly ProposedRule[];
  readonly leftOut: readonly LeftOut[];
}

/** The present policy can't be added to. */
export class LearnError extends Error {
  override readonly name = 'LearnError';
}

/**
 * `before`: the present file's text, be it the container's own or _default.yaml's; empty where there is none.
 * `describe`: the comment lines above a rule. @throws LearnError
 */
export function learnPolicy(
  container: Container,
  before: string,
  seen: readonly Seen[],
  host: LearnHost,
  describe: (rule: ProposedRule) => readonly string[],
): Learned {
  const policy = host.assembled.policies.get(container.id)?.compiled;
  if (policy?.ok !== true) throw new LearnError(`${container.name}: its policy has errors: mend them first`);
  const write = (mayWiden: boolean): Draft => {
    const { additions, leftOut } = proposeAdditions(container, policy, seen, host, mayWiden);
    const edited = editPolicy(before, additions, ['mode', 'until'], describe);
    return { ...edited, additions, leftOut, compiled: compileProposal(container, edited.text, host) };
  };
  const wide = write(true);
  // What is allowed beyond what was seen may be what the policy expects never to pass.
  const { text, rewritten, additions, leftOut, compiled } = wide.compiled.ok ? wide : write(false);
  if (!compiled.ok) throw new LearnError(`${container.name}: no proposal does what is expected: ${errorOf(compiled)}`);
  const known = new Set(leftOut.map((left) => left.seen));
  const inVain = seen.filter((one) => !known.has(one) && !passes(one, container, compiled, host));
  return {
    text,
    rewritten,
    rules: additions.flatMap(({ rules }) => rules),
    leftOut: [...leftOut, ...inVain.map((one) => ({ seen: one, reason: 'no rule of a policy allows it' }))],
  };
}

interface Draft extends Edited {
  readonly additions: readonly Addition[];
  readonly leftOut: readonly LeftOut[];
  readonly compiled: CompiledPolicy;
}

const errorOf = ({ problems }: CompiledPolicy): string => problems.find(isError)?.message ?? '';

function proposeAdditions(
  container: Container,
  policy: CompiledPolicy,
  seen: readonly Seen[],
  host: LearnHost,
  mayWiden: boolean,
): Pick<Draft, 'additions' | 'leftOut'> {
  const leftOut: LeftOut[] = [];
  const proposals = container.endpoints.map((endpoint) => {
    const own = seen.filter(({ key }) => key === endpoint.key);
    const { rules, leftOut: more } = proposeRules(refusedByDefault(own, endpoint, policy, host, leftOut), {
      names: peerNames(host),
      services: host.inputs.loaded.services,
      widen: (direction) => mayWiden && !hasForeignRefusals(chainOfNic(policy, endpoint, direction)),
    });
    leftOut.push(...more);
    return { endpoint, rules };
  });
  return { additions: additionsOf(proposals, policy), leftOut };
}

/** What the policy allows needs nothing; what a rule of it refuses, somebody meant to refuse. */
function refusedByDefault(
  seen: readonly Seen[],
  endpoint: Endpoint,
  policy: CompiledPolicy,
  { assembled }: LearnHost,
  leftOut: LeftOut[],
): Seen[] {
  return seen.filter((one) => {
    const chain = chainOfNic(policy, endpoint, one.direction);
    const { verdict, rule } = judgeCounted(assembled, endpoint.key, chain, one);
    if (verdict === 'allow') return false;
    const forbidden = policy.expectations.find((expectation) => forbids(expectation, one, assembled));
    const { file, line } = forbidden?.problem('') ?? { ...rule?.origin };
    if (file === undefined) return true;
    const what = forbidden === undefined ? 'a rule refuses it' : 'it is expected not to pass';
    leftOut.push({ seen: one, reason: `${what}: ${shownFile(file)}:${line}` });
    return false;
  });
}

function forbids({ direction, verdict, matches }: Expectation, seen: Seen, assembled: Assembled): boolean {
  if (verdict === 'allow' || direction !== seen.direction) return false;
  const chain = { direction, rules: matches, default: { verdict: 'allow', log: false, origin: null } } as const;
  return judgeCounted(assembled, seen.key, chain, seen).rule !== null;
}

/** A profile's rules come after the file's own: what is allowed more widely here would undo what they refuse. */
const hasForeignRefusals = ({ rules }: PolicyChain): boolean =>
  rules.some(({ action, origin }) => (action === 'drop' || action === 'reject') && origin.file.startsWith('profiles/'));

function peerNames({ inputs, assembled }: LearnHost): PeerNames {
  const groups = new Map<string, string[]>();
  for (const { name, groups: own } of inputs.containers) {
    for (const group of own) groups.set(group, [...(groups.get(group) ?? []), name]);
  }
  const { isLan } = factsOf(assembled, { kind: 'host' });
  return {
    isHost: (address) => isHostAddress(assembled, address),
    containerOf: (address) => nicIndexOf(assembled.desired).ownerOf(address)?.nic.container,
    isLan,
    isInternet: (address) => !isLan(address) && isPublic(address),
    groups,
    sets: new Map(
      [...inputs.loaded.sets].flatMap(([name, { ok, ranges }]) => (ok ? [[name, [...ranges[4], ...ranges[6]]]] : [])),
    ),
  };
}

/** A NIC with rules of its own gets them there; all others are the container's. */
function additionsOf(
  proposals: readonly { readonly endpoint: Endpoint; readonly rules: readonly ProposedRule[] }[],
  { default: wide, interfaces }: CompiledPolicy,
) {
  const additions = new Map<string, { path: string[]; rules: ProposedRule[] }>();
  for (const { endpoint, rules } of proposals) {
    const key = [endpoint.nic, String(endpoint.index)].find((word) => interfaces.has(word));
    for (const direction of ['egress', 'ingress'] as const) {
      const isOwn = key !== undefined && interfaces.get(key)?.[direction] !== wide[direction];
      const path = isOwn ? ['interfaces', key, direction] : [direction];
      const addition = additions.get(path.join('\n')) ?? { path, rules: [] };
      const fresh = rules.filter((rule) => rule.direction === direction && !addition.rules.some(saysSame(rule)));
      addition.rules.push(...fresh);
      additions.set(path.join('\n'), addition);
    }
  }
  return [...additions.values()];
}

const saysSame =
  (a: ProposedRule) =>
  (b: ProposedRule): boolean =>
    isDeepStrictEqual([a.services, a.peers], [b.services, b.peers]);

/** Judged by what it expects. A mistake in what is proposed is one of ours, told before it gets into a file. */
function compileProposal({ name, id }: Container, text: string, { inputs }: LearnHost): CompiledPolicy {
  const own = loadPolicies(new Map([[`containers/${name}.yaml`, text]])).containers.get(name);
  const containers = new Map(inputs.loaded.containers);
  if (own !== undefined) containers.set(name, own);
  const policy = assembleAsIfRunning({ ...inputs, loaded: { ...inputs.loaded, containers } }).policies.get(id);
  if (policy?.written.ok !== true) {
    throw new Error(`the proposal is wrong: ${policy === undefined ? name : errorOf(policy.written)}`);
  }
  return policy.compiled;
}

function passes(seen: Seen, { endpoints }: Container, policy: CompiledPolicy, { assembled }: LearnHost): boolean {
  const endpoint = endpoints.find(({ key }) => key === seen.key);
  if (endpoint === undefined) return false;
  const chain = chainOfNic(policy, endpoint, seen.direction);
  return judgeCounted(assembled, endpoint.key, chain, seen).verdict === 'allow';
}
