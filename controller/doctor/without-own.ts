/** Takes routewall's own chains, where iptables enforces, out of what its tables hold: what they drop, policies don't allow. */
import { isOurChain } from '../../render/iptables/xt-listing.ts';
import type { ChosenBackend } from '../apply/choose-backend.ts';
import type { JsonObject } from '../json-shape.ts';
import { type ForeignChain, isTableOfNft } from './foreign-ruleset.ts';

/** A jump to ours decides nothing, and keeps its place: `rule 3` is the third that the administrator counts. */
export function withoutOwn(chains: readonly ForeignChain[]): ForeignChain[] {
  return chains
    .filter((chain) => !isTableOfNft(chain) && !isOwn(chain))
    .map((chain) => {
      if (!isTableOfOurs(chain)) return chain;
      return { ...chain, rules: chain.rules.map((rule) => (rule.some(leadsToOurs) ? [] : rule)) };
    });
}

/** The only ones that we write to, in both kinds of iptables. */
const isTableOfOurs = ({ table }: ForeignChain): boolean => /^ip6? (?:raw|filter)$/.test(table);

/** Which backends have rules of ours among these. */
export const holdersAmong = (chains: readonly ForeignChain[]): ChosenBackend[] =>
  chains.flatMap((chain): ChosenBackend[] => {
    if (isTableOfNft(chain)) return ['nftables'];
    if (!isOwn(chain)) return [];
    return [chain.program?.endsWith('-legacy') ? 'iptables-legacy' : 'iptables-nft'];
  });

/** None of ours is the kernel's to ask. */
const isOwn = (chain: ForeignChain): boolean => chain.base === null && isTableOfOurs(chain) && isOurChain(chain.name);

const leadsToOurs = ({ jump, goto }: JsonObject): boolean => [jump, goto].some((way) => isOurChain(targetOf(way)));

const targetOf = (way: unknown): string =>
  typeof way === 'object' && way !== null && 'target' in way ? String(way.target) : '';
