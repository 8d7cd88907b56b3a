/** Warnings of rules that can never match, each with those before it in its file that take all of it. */
import type { Direction } from '../render/rule.ts';
import { compileRule } from './compile-rule.ts';
import type { HostAddresses } from './flows/peer-addresses.ts';
import { findShadowed, withUnknownAddresses } from './flows/shadowed-rules.ts';
import { createLookups, type PolicySources } from './lookups.ts';
import type { Path } from './places.ts';
import type { Policy } from './policy.gen.ts';
import type { PolicyDocument } from './policy-document.ts';
import { shownFile } from './policy-files.ts';
import type { Problem } from './problem.ts';

/** Paths of rules: one, and those that take all of it. */
interface Shadowed {
  readonly path: Path;
  readonly by: readonly Path[];
}

/**
 * Within each file alone: a container's own rules are there to come before those of its profiles. What is switched off,
 * wrong or over takes and misses nothing. Files of one text are looked at once.
 */
export function warnOfShadowed(
  documents: Iterable<PolicyDocument>,
  sources: PolicySources,
  addresses: HostAddresses,
): Problem[] {
  const facts = withUnknownAddresses(addresses);
  const known = new Map<Policy, readonly Shadowed[]>();
  return [...documents].flatMap((document) => {
    if (!document.ok) return [];
    const found = known.get(document.policy) ?? shadowedIn(document, sources, facts);
    known.set(document.policy, found);
    return found.map(({ path, by }) => document.problemAt(path, messageOf(by, document), 'warning'));
  });
}

function shadowedIn(document: PolicyDocument, sources: PolicySources, addresses: HostAddresses): Shadowed[] {
  const { policy } = document;
  const lookups = createLookups(sources);
  const context = { ...sources, lookups, report: () => undefined };
  const inside = (direction: Direction, at: Path, content: Policy['egress'] | Policy['ingress']): Shadowed[] => {
    const all = content?.rules ?? [];
    // Nothing comes before a single one.
    if (all.length < 2) return [];
    const pathOf = (index: number): Path => [...at, direction, 'rules', index];
    const rules = all.map((rule, index) => compileRule(rule, pathOf(index), document, context));
    return [...findShadowed(rules, direction, addresses)].map(([index, by]) => ({
      path: pathOf(index),
      by: by.map(pathOf),
    }));
  };
  const parts = [
    { at: [], ...policy },
    ...Object.entries(policy.interfaces ?? {}).map(([nic, rules]) => ({ at: ['interfaces', nic], ...rules })),
  ];
  return parts.flatMap(({ at, egress, ingress }) => [
    ...inside('egress', at, egress),
    ...inside('ingress', at, ingress),
  ]);
}

function messageOf(by: readonly Path[], document: PolicyDocument): string {
  const places = by.map((path) => `${shownFile(document.file)}:${document.placeOf(path).line}`);
  const [one = '', ...more] = places;
  const taken = more.length === 0 ? `${one} takes` : `${listText(places)} together take`;
  return `this rule can never match: ${taken} all that it is for; move it up, or remove it`;
}

/** More than these are counted. */
const LISTED = 4;

const listText = (places: readonly string[]): string =>
  places.length > LISTED
    ? `${places.slice(0, LISTED).join(', ')} and ${places.length - LISTED} more`
    : `${places.slice(0, -1).join(', ')} and ${places.at(-1)}`;
