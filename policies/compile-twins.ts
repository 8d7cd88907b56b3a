/** Compiles the policies of many containers: files of one text once, and then only under each file's own name. */
import type { PolicyChain } from '../render/rule.ts';
import { takeHashOf } from './chain-hash.ts';
import { type CompiledNic, type CompiledPolicy, compilePolicy } from './compile-policy.ts';
import type { Policy } from './policy.gen.ts';
import type { PolicyDocument } from './policy-document.ts';
import { shownFile } from './policy-files.ts';

interface Twin {
  readonly document: PolicyDocument;
  readonly compiled: CompiledPolicy;
}

/** As `compilePolicy`, for one pass: what is asked is answered alike until its end. */
export function createTwinCompiler(): typeof compilePolicy {
  const twins = new Map<Policy, Twin>();
  return (container, sources, options) => {
    const document = sources.loaded.containers.get(container) ?? sources.loaded.defaultPolicy;
    const twin = document?.ok ? twins.get(document.policy) : undefined;
    if (document !== undefined && twin !== undefined) return renamed(twin, container, document);
    const compiled = compilePolicy(container, sources, options);
    // Equal texts share what they are parsed to.
    if (document?.ok && isForAnyone(compiled)) twins.set(document.policy, { document, compiled });
    return compiled;
  };
}

/** Neither what is wrong with it nor what it does names the container, and only its rules tell where they stand. */
const isForAnyone = ({ ok, problems, routes, expectations, nat, tables, default: wide, interfaces }: CompiledPolicy) =>
  ok &&
  problems.length + routes.length + expectations.length === 0 &&
  nat === undefined &&
  tables === undefined &&
  [wide, ...interfaces.values()].every(
    ({ egress, ingress, uplink }) =>
      uplink === undefined &&
      [egress, ingress].every(({ owner, observe }) => owner === undefined && observe === undefined),
  );

function renamed({ document: of, compiled }: Twin, container: string, document: PolicyDocument): CompiledPolicy {
  const lookups = compiled.lookups.map((lookup) =>
    lookup.kind === 'document' ? { ...lookup, name: container, answer: document } : lookup,
  );
  const named = { ...compiled, container, file: document.file, lookups };
  if (document === of) return named;
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
    // Most of what many share stands in a profile alone.
    if ([chain.default, ...chain.rules].every(({ origin }) => origin?.file !== from)) return chain;
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
