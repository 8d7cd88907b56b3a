/** A container's policy, from its files to compiled chains. */
import type { Bandwidth } from '../render/desired.ts';
import type { ChainOwner, Direction, PolicyChain } from '../render/rule.ts';
import { compileBandwidth } from './compile-bandwidth.ts';
import type { CompileContext, Layer } from './compile-context.ts';
import { compileDirection, type Section } from './compile-direction.ts';
import { type CompiledNat, compileNat } from './compile-nat.ts';
import { compileObservation, observeOf } from './compile-observation.ts';
import { type CompiledRoute, compileRoutes } from './compile-routes.ts';
import { compileNicUplink, compileTables, compileUplink, type UplinkChoice } from './compile-uplink.ts';
import { compileExpectations, type Expectation } from './expectations/expectation.ts';
import { createFreshness, createLookups, documentFor, type Lookup, type PolicySources } from './lookups.ts';
import type { PolicyDocument } from './policy-document.ts';
import { isError, type Problem, uniqueProblems } from './problem.ts';
import { resolveUse } from './resolve-use.ts';

export interface CompiledNic {
  readonly egress: PolicyChain;
  readonly ingress: PolicyChain;
  readonly limits?: Bandwidth;
  /** By which it leaves the host; absent: by the host's own default route. */
  readonly uplink?: UplinkChoice;
}

export interface CompiledPolicy {
  readonly container: string;
  /** The file that decides, relative to the policy folder; `null` where there is none. */
  readonly file: string | null;
  /** `false`: the last good policy stays, or `default`, which is closed then. */
  readonly ok: boolean;
  /** For every NIC that `interfaces` doesn't name. */
  readonly default: CompiledNic;
  /** By the NIC's name or index, as the file gives it. */
  readonly interfaces: ReadonlyMap<string, CompiledNic>;
  readonly routes: readonly CompiledRoute[];
  /** Absent where nothing is translated. */
  readonly nat?: CompiledNat;
  /** Further routing tables that get its routes. */
  readonly tables?: readonly number[];
  /** What must hold of it; whether it does is expectations/judge-policy.ts's to say. */
  readonly expectations: readonly Expectation[];
  /** Whether the container may not start with a network that the policy can't be enforced on; absent where no file says. */
  readonly strict?: boolean;
  /** Errors and warnings of its own file, and of what it uses. */
  readonly problems: readonly Problem[];
  /** What its file was read to; `undefined` where there is none. */
  readonly document: PolicyDocument | undefined;
  /** What else was asked for; one list for all who share it. */
  readonly lookups: readonly Lookup[];
  readonly withoutPolicy: WithoutPolicy;
}

export type WithoutPolicy = 'closed' | 'open';

export interface CompileOptions {
  /** What holds where neither a file nor _default.yaml exists; closed where absent. */
  readonly withoutPolicy?: WithoutPolicy;
  /** Tells containers of one name apart; the name where absent. */
  readonly id?: string;
}

const builtIn = (verdict: 'drop' | 'allow'): CompiledNic => {
  const chain = (direction: Direction): PolicyChain => ({
    direction,
    rules: [],
    default: { verdict, log: false, origin: null },
  });
  return { egress: chain('egress'), ingress: chain('ingress') };
};

/** Nothing passes. */
export const closedPolicy: CompiledNic = builtIn('drop');
/** Everything passes. */
export const openPolicy: CompiledNic = builtIn('allow');

/** Pure and total: mistakes are `problems`. */
export function compilePolicy(
  container: string,
  sources: PolicySources,
  { withoutPolicy = 'closed', id = container }: CompileOptions = {},
): CompiledPolicy {
  const problems: Problem[] = [];
  const lookups = createLookups(sources);
  const context: CompileContext = { ...sources, lookups, report: (problem) => problems.push(problem) };
  const document = documentFor(container, sources.loaded);
  const content = document === undefined ? undefined : compileDocument({ container, id }, document, context);
  const ok = (document === undefined || document.ok) && !problems.some(isError);
  return {
    container,
    file: document?.file ?? null,
    ok,
    ...(ok && content !== undefined ? content : fallback(ok && withoutPolicy === 'open' ? openPolicy : closedPolicy)),
    problems: uniqueProblems([...(document?.problems ?? []), ...problems]),
    document,
    lookups: [...lookups.asked.values()],
    withoutPolicy,
  };
}

/** For one pass: whether compiling again would give the same. */
export function createFreshCheck(
  sources: PolicySources,
  withoutPolicy: WithoutPolicy = 'closed',
): (compiled: CompiledPolicy) => boolean {
  const areFresh = createFreshness(sources);
  return (compiled) =>
    compiled.withoutPolicy === withoutPolicy &&
    compiled.document === documentFor(compiled.container, sources.loaded) &&
    areFresh(compiled.lookups);
}

/** The chains of one NIC: `interfaces` may name it by its name or by its index. */
export function policyOfNic(
  compiled: Pick<CompiledPolicy, 'default' | 'interfaces'>,
  nic: { readonly name?: string; readonly index: number },
): CompiledNic {
  const byName = nic.name === undefined ? undefined : compiled.interfaces.get(nic.name);
  return byName ?? compiled.interfaces.get(String(nic.index)) ?? compiled.default;
}

type Content = Pick<CompiledPolicy, 'default' | 'interfaces' | 'routes' | 'tables' | 'nat' | 'expectations' | 'strict'>;

const fallback = (nic: CompiledNic): Content => ({
  ...{ default: nic, interfaces: new Map(), routes: [], expectations: [] },
});

/** Reports what is wrong also where the document is faulty already, so that all errors show at once. */
export function compileDocument(owner: ChainOwner, document: PolicyDocument, context: CompileContext): Content {
  const own: Layer = { document, policy: document.policy };
  const profiles = resolveUse(own, context);
  const broken = new Map<PolicyDocument, Problem>();
  const watched: CompileContext = {
    ...context,
    report: (problem) => {
      const profile = profiles.find(({ layer }) => layer.document.file === problem.file);
      if (profile !== undefined && isError(problem)) broken.set(profile.layer.document, profile.blame(problem));
      context.report(problem);
    },
  };
  const content = compileLayers(owner, [own, ...profiles.map(({ layer }) => layer)], watched);
  for (const problem of broken.values()) context.report(problem);
  return content;
}

/** The container's own file first. */
type Layers = readonly [Layer, ...Layer[]];

function compileLayers(owner: ChainOwner, layers: Layers, context: CompileContext): Content {
  const observation = compileObservation(layers[0], context);
  const compile = (direction: Direction, sections: readonly Section[], nic?: string): PolicyChain => ({
    ...compileDirection(direction, sections, nic === undefined ? owner : { ...owner, nic }, context),
    ...observeOf(observation, direction),
  });
  const uplink = compileUplink(layers, context);
  const wide: CompiledNic = {
    egress: compile('egress', wideSections('egress', layers)),
    ingress: compile('ingress', wideSections('ingress', layers)),
    ...limitsOf(layers, context),
    ...(uplink && { uplink }),
  };
  const interfaces = new Map<string, CompiledNic>();
  for (const nic of new Set(layers.flatMap(({ policy }) => Object.keys(policy.interfaces ?? {})))) {
    const egress = nicSections('egress', nic, layers);
    const ingress = nicSections('ingress', nic, layers);
    const own = compileNicUplink(nic, layers, context) ?? uplink;
    interfaces.set(nic, {
      ...(own && { uplink: own }),
      egress: egress.length === 0 ? wide.egress : compile('egress', egress, nic),
      ingress: ingress.length === 0 ? wide.ingress : compile('ingress', ingress, nic),
      ...limitsOf(layers, context, nic),
    });
  }
  const expectations = compileExpectations(layers, context);
  const strict = layers.find(({ policy }) => policy.strict !== undefined)?.policy.strict;
  const tables = compileTables(layers, context);
  return {
    ...{ default: wide, interfaces, routes: compileRoutes(layers, context), expectations },
    ...compileNat(layers, context),
    ...(tables.length > 0 && { tables }),
    ...(strict === undefined ? {} : { strict }),
  };
}

function limitsOf(layers: Layers, context: CompileContext, nic?: string): Pick<CompiledNic, 'limits'> {
  const limits = compileBandwidth(layers, context, nic);
  return limits === undefined ? {} : { limits };
}

function wideSections(direction: Direction, layers: readonly Layer[]): Section[] {
  return layers.flatMap((layer) => {
    const content = layer.policy[direction];
    return content === undefined ? [] : [{ layer, path: [direction], content }];
  });
}

function nicSections(direction: Direction, nic: string, layers: readonly Layer[]): Section[] {
  return layers.flatMap((layer) => {
    const content = layer.policy.interfaces?.[nic]?.[direction];
    return content === undefined ? [] : [{ layer, path: ['interfaces', nic, direction], content }];
  });
}
