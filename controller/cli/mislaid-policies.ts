/** Policies that nobody gets, since they bear a name, or lie in a folder, by which they are looked for nowhere now. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CONTAINERS, policyFileKind } from '../../policies/policy-files.ts';
import type { Problem } from '../../policies/problem.ts';
import { closestWord } from '../../policies/suggest.ts';

interface Asked {
  /** Of all containers. */
  readonly known: readonly string[];
  /** Those that the question is about; empty: all. */
  readonly names: readonly string[];
}

/**
 * Told only where a container goes without, so that neither backups nor policies for containers to come are complained
 * about. Places are relative to the folder.
 */
export function mislaidPolicies(folder: string, { known, names }: Asked): Problem[] {
  if (existsSync(folder) && !existsSync(join(folder, CONTAINERS)))
    return known.length === 0 ? [] : [warning(CONTAINERS, 'there is no such folder: no container has a policy')];
  const own = namesIn(join(folder, CONTAINERS));
  const served = new Set(own.flatMap(containerOf));
  const without = known.filter((name) => !served.has(name) && (names.length === 0 || names.includes(name)));
  if (without.length === 0) return [];
  return [
    ...namesIn(folder).flatMap((file) => outside(file, without)),
    ...own.flatMap((file) => unread(file, without)),
    ...own.flatMap((file) => misnamed(file, known, without)),
  ];
}

/**
 * Names of policy files of containers that aren't there: prepared ahead, or left by one that was renamed or removed. Whoever only
 * looks at policies, on a machine without containers, isn't told.
 */
export function policiesOfNobody(folder: string, known: readonly string[]): string[] {
  const there = new Set(known);
  if (there.size === 0) return [];
  return namesIn(join(folder, CONTAINERS)).filter((file) => containerOf(file).some((name) => !there.has(name)));
}

/** An unreadable folder is told by whoever has to read it. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

/** Whose policy it would be in its right place. */
function containerOf(file: string): string[] {
  const kind = policyFileKind(`${CONTAINERS}/${file}`);
  return kind?.kind === 'container' ? [kind.name] : [];
}

function outside(file: string, without: readonly string[]): Problem[] {
  if (policyFileKind(file) !== undefined || /^routewall[.]/.test(file)) return [];
  const meant = containerOf(file).filter((name) => without.includes(name));
  return meant.map((name) => warning(file, `not read here: the policy of ${name} belongs into ${CONTAINERS}/`));
}

function unread(file: string, without: readonly string[]): Problem[] {
  const name = without.find((container) => file === container || file.replace(/[.][^.]*$/, '') === container);
  if (name === undefined || policyFileKind(`${CONTAINERS}/${file}`) !== undefined) return [];
  const right = `call it ${name}.yaml, or .yml or .json`;
  return [warning(`${CONTAINERS}/${file}`, `not read under this name, and ${name} has no other policy: ${right}`)];
}

function misnamed(file: string, known: readonly string[], without: readonly string[]): Problem[] {
  return containerOf(file).flatMap((name) => {
    const meant = known.includes(name) ? undefined : closestWord(name, without);
    if (meant === undefined) return [];
    const text = `there is no container "${name}": did you mean "${meant}", which has no policy?`;
    return [warning(`${CONTAINERS}/${file}`, text)];
  });
}

const warning = (file: string, message: string): Problem => ({
  ...{ file, line: 1, column: 1, message },
  severity: 'warning',
});
