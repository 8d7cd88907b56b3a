/** What a compilation asked for, so that it is repeated only when an answer has changed. */
import type { Prefix } from '../render/address.ts';
import type { AddressBook } from './address-book.ts';
import type { AddressSet } from './address-set.ts';
import type { LoadedPolicies } from './load-policies.ts';
import type { PolicyDocument } from './policy-document.ts';
import type { ServiceTable } from './service-table.ts';

/** All that a policy's meaning depends on besides its own text. */
export interface PolicySources {
  readonly loaded: LoadedPolicies;
  readonly book: AddressBook;
  /** Milliseconds since 1970, as Date.now() tells them: rules end. */
  readonly now: number;
}

interface Answers {
  readonly profile: PolicyDocument | undefined;
  readonly set: AddressSet | undefined;
  readonly services: ServiceTable;
  readonly container: readonly Prefix[] | undefined;
  readonly group: readonly Prefix[] | undefined;
  /** Whether the moment is past; its name are the seconds since 1970. */
  readonly ended: boolean;
}

export interface Lookup {
  readonly kind: keyof Answers;
  readonly name: string;
  readonly answer: Answers[keyof Answers];
}

/** Answers from the loaded files and the address book, and keeps what it answered. */
export interface Lookups {
  readonly ask: <K extends keyof Answers>(kind: K, name: string) => Answers[K];
  readonly asked: ReadonlyMap<string, Lookup>;
}

export function createLookups(sources: PolicySources): Lookups {
  const asked = new Map<string, Lookup>();
  const ask = <K extends keyof Answers>(kind: K, name: string): Answers[K] => {
    const answer = answers[kind](name, sources);
    asked.set(`${kind} ${name}`, { kind, name, answer });
    return answer;
  };
  return { ask, asked };
}

/** Of the container's own file, or of the one for all that have none. */
export const documentFor = (
  container: string,
  { containers, defaultPolicy }: LoadedPolicies,
): PolicyDocument | undefined => containers.get(container) ?? defaultPolicy;

const answers: { [K in keyof Answers]: (name: string, sources: PolicySources) => Answers[K] } = {
  profile: (name, { loaded }) => loaded.profiles.get(name),
  set: (name, { loaded }) => loaded.sets.get(name),
  services: (_name, { loaded }) => loaded.services,
  container: (name, { book }) => book.container(name),
  group: (name, { book }) => book.group(name),
  ended: (seconds, { now }) => Number(seconds) * 1000 <= now,
};

/** Whether every lookup would be answered as it was. */
export function areFresh(lookups: Iterable<Lookup>, sources: PolicySources): boolean {
  for (const { kind, name, answer } of lookups) {
    if (!sameAnswer(answer, answers[kind](name, sources))) return false;
  }
  return true;
}

/** The same for one pass, which asks once for all that share their lookups. */
export function createFreshness(sources: PolicySources): (lookups: readonly Lookup[]) => boolean {
  const known = new Map<readonly Lookup[], boolean>();
  return (lookups) => {
    const before = known.get(lookups);
    if (before !== undefined) return before;
    const fresh = areFresh(lookups, sources);
    known.set(lookups, fresh);
    return fresh;
  };
}

/** Documents, sets and tables keep their identity while they don't change; an address book may make arrays anew. */
function sameAnswer(a: Lookup['answer'], b: Lookup['answer']): boolean {
  if (a === b) return true;
  if (!Array.isArray(a) || !Array.isArray(b)) return false;
  return a.length === b.length && a.every((prefix, index) => prefix === b[index]);
}
