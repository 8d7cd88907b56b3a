/** The chains of policies as a backend's listing has them: which one an interface's packets meet, and what it says. */
import type { NicState } from '../../render/desired.ts';
import type { Direction, PolicyChain } from '../../render/rule.ts';
import type { Ruleset } from '../../render/ruleset.ts';
import { parsePolicyChain } from './listed-policy.ts';

export interface ListedChains {
  /** `undefined`: nothing leads from the interface to any chain. */
  nameFor(nic: Pick<NicState, 'hostVeth'>, direction: Direction): string | undefined;
  /** Equal texts say the same, in two listings of the same kind. */
  textOf(name: string): string;
  /** `undefined` where it isn't in our words: then nothing is known of the chain. */
  read(name: string, direction: Direction): PolicyChain | undefined;
}

export function listedByNft(ruleset: Ruleset): ListedChains {
  const table = ruleset.get('inet');
  return {
    nameFor: ({ hostVeth }, direction) =>
      table?.sets
        .get(direction === 'egress' ? 'from_container' : 'to_container')
        ?.elements.get(`"${hostVeth}"`)
        ?.replace(/^goto /, ''),
    textOf: (name) => table?.chains.get(name)?.rules.join('\n') ?? '',
    read: (name, direction) => (table === undefined ? undefined : parsePolicyChain(table, name, direction)),
  };
}
