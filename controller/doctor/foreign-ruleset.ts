/** Other programs' nft chains, as `nft -j -t list ruleset` tells them: what has a base chain, and what that leads to. */
import { asList, asNumber, asObject, asText, at, type JsonObject, orNull, placed } from '../json-shape.ts';

export interface ForeignChain {
  /** Such as `ip filter`. */
  readonly table: string;
  readonly name: string;
  /** The iptables by which it is kept, such as `iptables-legacy`; absent for what nft itself tells. */
  readonly program?: string;
  /** `null` for a chain that is only jumped to. */
  readonly base: { readonly hook: string; readonly priority: number; readonly policy: string } | null;
  /** Each rule's expressions, as nft names them. */
  readonly rules: readonly (readonly JsonObject[])[];
}

/** Whether iptables wrote it with matches of its own, of which nft tells the names alone. */
export const hasExtensions = ({ rules }: ForeignChain): boolean =>
  rules.some((rule) => rule.some((expression) => 'xt' in expression));

/** As a sentence about it begins: `chain FORWARD of table ip filter`. */
export const nameChain = ({ table, name, program }: ForeignChain): string =>
  `chain ${name} of ${program?.endsWith('-legacy') ? `${program}'s ` : ''}table ${table}`;

const OURS = /^(inet|arp|bridge) routewall(_panic)?$/;

export const isTableOfNft = ({ table }: ForeignChain): boolean => OURS.test(table);

/** In nft's order, ours among them. @throws ShapeError for what is no listing. */
export function parseChains(listing: unknown): ForeignChain[] {
  const chains = new Map<string, ForeignChain>();
  for (const entry of asList(at(asObject(placed(listing)), 'nftables', ''))) {
    const object = asObject(entry);
    if (object['chain'] !== undefined) addChain(chains, asObject(at(object, 'chain', entry.path)));
    if (object['rule'] !== undefined) addRule(chains, asObject(at(object, 'rule', entry.path)));
  }
  return [...chains.values()];
}

const keyOf = (table: string, name: string): string => `${table} ${name}`;

function addChain(chains: Map<string, ForeignChain>, chain: JsonObject): void {
  const text = (key: string): string => asText(at(chain, key, 'chain'));
  const table = `${text('family')} ${text('table')}`;
  const hook = orNull(at(chain, 'hook', 'chain'), asText);
  const base =
    hook === null
      ? null
      : {
          hook,
          priority: orNull(at(chain, 'prio', 'chain'), asNumber) ?? 0,
          policy: orNull(at(chain, 'policy', 'chain'), asText) ?? 'accept',
        };
  chains.set(keyOf(table, text('name')), { table, name: text('name'), base, rules: [] });
}

function addRule(chains: Map<string, ForeignChain>, rule: JsonObject): void {
  const text = (key: string): string => asText(at(rule, key, 'rule'));
  const key = keyOf(`${text('family')} ${text('table')}`, text('chain'));
  const chain = chains.get(key);
  const expressions = asList(at(rule, 'expr', 'rule')).map(asObject);
  if (chain !== undefined) chains.set(key, { ...chain, rules: [...chain.rules, expressions] });
}
