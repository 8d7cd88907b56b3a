/** What an explanation says of networks that no rule of this host stands before. */
import type { Container } from '../../policies/endpoint.ts';
import { nameUnenforceable, whyUnenforceable } from '../../policies/unenforceable.ts';
import type { ExplainedStep } from './explained-step.ts';
import type { FlowParty } from './flow-parties.ts';

/** One for each such network of the parties; `log`, since each stands beside what is judged. */
export function unenforceableSteps(
  containers: readonly Container[],
  parties: readonly FlowParty[],
): (ExplainedStep & { readonly verdict: 'log' })[] {
  const names = parties.flatMap((party) => (party.kind === 'container' ? party.name : []));
  return containers
    .filter(({ name }) => names.includes(name))
    .flatMap(({ name, unenforceable = [] }) =>
      unenforceable.map((nic) => {
        const { why, instead } = whyUnenforceable(nic);
        const note = `nothing is enforced, since ${why}; ${instead}`;
        return { at: `${name} on ${nameUnenforceable(nic)}`, verdict: 'log' as const, rule: null, note };
      }),
    );
}

/** Whether the party has no other network: what it sends and gets meets no rule of its own. */
export const isPastRules = (containers: readonly Container[], party: FlowParty): boolean =>
  party.kind === 'container' &&
  containers.some(
    ({ name, endpoints, unenforceable }) =>
      name === party.name && endpoints.length === 0 && unenforceable !== undefined,
  );
