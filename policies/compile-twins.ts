/** Compiles the policies of many containers: files of one text once, and then only under each file's own name. */
import type { PolicyChain } from '../render/rule.ts';
import { takeHashOf } from './chain-hash.ts';
import { type CompiledNic, type CompiledPolicy, compilePolicy } from './compile-policy.ts';
import { documentFor } from './lookups.ts';
import type { Policy } from './policy.gen.ts';
import type { PolicyDocument } from './policy-document.ts';
import { shownFile } from './policy-files.ts';

interface Twin {
  readonly document: PolicyDocument;
  readonly compiled: CompiledPolicy;
  /** Whether some of its rules stand in its own file; mostly what many share stands in a profile alone. */
  readonly isPlaced: boolean;
}

/** As `compilePolicy`, for one pass: what is asked is answered alike until its end. */
export function createTwinCompiler(): typeof compilePolicy {
  const twins = new Map<Policy, Twin>();
  return (container, sources, options) => {
    const document = documentFor(container, sources.loaded);
    const twin = document?.ok ? twins.get(document.policy) : undefined;
    if (document !== undefined && twin !== undefined) return renamed(twin, container, document);
    const compiled = compilePolicy(container, sources, options);
    // Equal texts share what they are parsed to.
    if (document?.ok && isForAnyone(compiled)) {
      const isPlaced = allChains(compiled).some((chain) => standsIn(chain, shownFile(document.file)));
      twins.set(document.policy, { document, compiled, isPlaced });
    }
    return compiled;
  };
}

/** Neither what is wrong with it nor what it does names the container, and only its rules tell where they stand. */
const isForAnyone = ({
  file,
  ok,
  problems,
  routes,
  expectations,
  nat,
  tables,
  default: wide,
  interfaces,
}: CompiledPolicy) =>
  ok &&
  problems.length + routes.length + expectations.length === 0 &&
  nat === undefined &&
  tables === undefined &&
  [wide, ...interfaces.values()].every(
    ({ egress, ingress, uplink, limits }) =>
      uplink === undefined &&
      [limits?.egress, limits?.ingress].every((limit) => limit?.origin.file !== shownFile(file ?? '')) &&
      [egress, ingress].every(({ owner, observe }) => owner === undefined && observe === undefined),
  );

const allChains = ({ default: wide, interfaces }: CompiledPolicy): PolicyChain[] =>
  [wide, ...interfaces.values()].flatMap(({ egress, ingress }) => [egress, ingress]);

const standsIn = (chain: PolicyChain, file: string): boolean =>
  [chain.default, ...chain.rules].some(({ origin }) => origin?.file === file);

function renamed(
  { document: of, compiled, isPlaced }: Twin,
  container: string,
  document: PolicyDocument,
): CompiledPolicy {
  const named = { ...compiled, container, file: document.file, document };
  if (document === of || !isPlaced) return named;
  const rename = renaming(shownFile(of.file), shownFile(document.file));
  const renameNic = (nic: CompiledNic): CompiledNic => ({
    ...nic,
    egress: rename(nic.egress),
    ingress: rename(nic.ingress),
  });
  const interfaces = new Map([...compiled.interfaces].map(([nic, chains]) => [nic, renameNic(chains)]));
  return { ...named, default: renameNic(compiled.default), interfaces };
}

/** A profile's rules stand where they stood. */
function renaming(from: string, to: string): (chain: PolicyChain) => PolicyChain {
  const known = new Map<PolicyChain, PolicyChain>();
  const rename = (chain: PolicyChain): PolicyChain => {
    if (!standsIn(chain, from)) return chain;
    const rules = chain.rules.map((rule) =>
      rule.origin.file === from ? { ...rule, origin: { ...rule.origin, file: to } } : rule,
    );
    const { origin } = chain.default;
    const end = origin?.file === from ? { ...chain.default, origin: { ...origin, file: to } } : chain.default;
    return takeHashOf(chain, { ...chain, rules, default: end });
  };
  return (chain) => {
    const made = known.get(chain) ?? rename(chain);
    known.set(chain, made);
    return made;
  };
}
