/** What a policy means at another moment than the one that it was compiled for. */
import type { Prefix } from '../render/address.ts';
import { createAddressBook } from './address-book.ts';
import type { AddressSet } from './address-set.ts';
import { type CompiledPolicy, compilePolicy } from './compile-policy.ts';
import { loadPolicies } from './load-policies.ts';
import type { PolicySources } from './lookups.ts';
import type { PolicyDocument } from './policy-document.ts';
import { hasEnded } from './rule-ends.ts';

/** By what its files and names said then, whatever they say by now. The same object where time alone changes nothing of it. */
export function compileAt(compiled: CompiledPolicy, id: string, now: number): CompiledPolicy {
  const { container, lookups } = compiled;
  const isSame = lookups.every(({ kind, name, answer }) => kind !== 'ended' || answer === hasEnded(Number(name), now));
  return isSame ? compiled : compilePolicy(container, sourcesOf(compiled, now), { id });
}

function sourcesOf({ container, document, lookups }: CompiledPolicy, now: number): PolicySources {
  const containers = new Map<string, PolicyDocument>(document === undefined ? [] : [[container, document]]);
  const profiles = new Map<string, PolicyDocument>();
  const named = { container: new Map<string, readonly Prefix[]>(), group: new Map<string, readonly Prefix[]>() };
  const sets = new Map<string, AddressSet>();
  const none = loadPolicies(new Map());
  let { services } = none;
  for (const { kind, name, answer } of lookups) {
    if (typeof answer !== 'object') continue;
    if ('policy' in answer) profiles.set(name, answer);
    else if ('resolve' in answer) services = answer;
    else if ('ranges' in answer) sets.set(name, answer);
    else named[kind === 'container' ? kind : 'group'].set(name, answer);
  }
  const loaded = { ...none, containers, profiles, sets, services };
  return { loaded, book: createAddressBook(named.container, named.group), now };
}
