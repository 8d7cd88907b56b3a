/** What iptables-save, ipset save and arptables-save print of ours, so that it can be compared with another listing. */
import type { Family } from '../address.ts';
import type { XtFamily, XtRuleset, XtSet, XtTable, XtTableName } from './xt-ruleset.ts';
import { shortElement } from './xt-sets.ts';
import { ARP_CHAIN, ARP_MARKS, DISPLACED } from './xt-transaction.ts';

/** Chains and sets that bear one of our names; anyone else's may begin with RW- too. */
const OUR_CHAIN =
  /^RW-(?:ANTISPOOF|INPUT|OUTPUT|FORWARD-(?:FROM|TO)|GUARD-(?:FROM|TO)|ORPHANS|NEVER|[EI]-(?:DROP|REJECT|OBSERVE|[0-9a-f]{8,16})|[CRN]-.+|(?:FROM|TO)(?:-.+)?)$/;
/** Of what seals; its business alone. */
const SEAL_CHAIN = /^RW-PANIC-(?:FROM|TO)$/;
const OUR_SET = /^RW-(?:owned|held|heldnet|lan|nonpublic|shut)[46]$|^RW-(?:peers|dns)[46]-[0-9a-f]+$|^RW-swap$/;

export const isOurChain = (name: string): boolean => OUR_CHAIN.test(name) || SEAL_CHAIN.test(name);

export const isOurSet = (name: string): boolean => OUR_SET.test(name);

/** Of `iptables-save`: tables other than ours are passed over. */
export function parseXtTables(text: string): XtFamily {
  const tables = new Map<XtTableName, XtTable>();
  for (const block of text.split(/^(?=\*)/m)) {
    const [, name] = /^\*(raw|filter)$/m.exec(block) ?? [];
    if (name === 'raw' || name === 'filter') tables.set(name, parseTable(block.split('\n')));
  }
  return { tables };
}

function parseTable(lines: readonly string[]): XtTable {
  const chains = new Map<string, string[]>();
  const jumps = new Map<string, string[]>();
  const others = new Set<string>();
  for (const line of lines) {
    const [, declared] = /^:(\S+) /.exec(line) ?? [];
    if (declared !== undefined && OUR_CHAIN.test(declared)) chains.set(declared, []);
    const [, chain, rule] = /^-A (\S+) (.*)$/.exec(line) ?? [];
    if (chain === undefined || rule === undefined) continue;
    const own = chains.get(chain);
    if (own !== undefined) own.push(rule);
    // What seals stands before all others and is another's business.
    else if (/-j RW-PANIC-(?:FROM|TO)$/.test(rule)) continue;
    else if (OUR_CHAIN.test(/-[jg] (\S+)$/.exec(rule)?.[1] ?? '')) {
      const found = jumps.get(chain) ?? [];
      if (others.has(chain) && !found.includes(DISPLACED)) found.unshift(DISPLACED);
      jumps.set(chain, [...found, rule]);
    } else others.add(chain);
  }
  return { jumps, chains };
}

/** Of `ipset save` of our sets. */
export function parseXtSets(text: string): Map<string, XtSet> {
  const sets = new Map<string, XtSet & { readonly elements: Set<string> }>();
  for (const line of text.split('\n')) {
    const [, name = '', type = '', inet] = /^create (\S+) (\S+) family (inet6?)\b/.exec(line) ?? [];
    if (isOurSet(name) && (type === 'hash:net' || type === 'hash:net,iface')) {
      const family: Family = inet === 'inet' ? 4 : 6;
      sets.set(name, { type, family, kind: 'whole', options: '', elements: new Set() });
    }
    const [, set = '', element = ''] = /^add (\S+) (\S+)/.exec(line) ?? [];
    sets.get(set)?.elements.add(shortElement(element));
  }
  return sets;
}

/** What arptables-save would print of what `arptables -L -n -v` does: `-j RETURN -i veth1 -o * -s 198.51.100.10 , pcnt=0 …` */
export function arpSaveOf(listing: string): string {
  let chain = '';
  return listing
    .split('\n')
    .flatMap((line) => {
      const [, name] = /^Chain (\S+) \(/.exec(line) ?? [];
      if (name !== undefined) {
        chain = name;
        return [`:${name} -`];
      }
      const rule = line.replace(/ , pcnt=.*$/, '').replace(/ -[io] \*/g, '');
      return rule.trim() === '' ? [] : [`-A ${chain} ${rule.trim()}`];
    })
    .join('\n');
}

/** Of `arptables-save`. */
export function parseXtArp(text: string): Set<string> {
  const lines = text.split('\n').map((line) => line.trim());
  const rules = lines.filter((line) => line.startsWith(`-A ${ARP_CHAIN} `)).map((line) => line.slice(10).trim());
  const isThere = lines.some((line) => line.startsWith(`:${ARP_CHAIN} `));
  if (!isThere) return new Set();
  const [first] = lines.filter((line) => line.startsWith('-A INPUT '));
  const isFirst = first === `-A INPUT -j ${ARP_CHAIN}`;
  return new Set([...(isFirst ? [] : [ARP_MARKS.noJump]), ...(rules.length > 0 ? rules : [ARP_MARKS.noRules])]);
}

/** What agrees with its listing is said in our own words, so that it drops out; the rest stays as it was found. */
export function translateXt(observed: XtRuleset, expected: XtRuleset, rendered: XtRuleset): XtRuleset {
  const families = [...observed.families].map(([family, { tables }]): [Family, XtFamily] => [
    family,
    {
      tables: new Map(
        [...tables].map(([name, { jumps, chains }]): [XtTableName, XtTable] => {
          const listed = expected.families.get(family)?.tables.get(name)?.chains;
          const ours = rendered.families.get(family)?.tables.get(name)?.chains;
          const translated = [...chains].map(([chain, rules]): [string, readonly string[]] => {
            const meant = ours?.get(chain);
            const isRight = meant !== undefined && listed?.get(chain)?.join('\n') === rules.join('\n');
            return [chain, isRight ? meant : rules];
          });
          return [name, { jumps, chains: new Map(translated) }];
        }),
      ),
    },
  ]);
  return { ...observed, families: new Map(families) };
}

/** `VETH PREFIX` each. */
export const ownedOf = ({ sets }: Pick<XtRuleset, 'sets'>): Set<string> => {
  const owned = new Set<string>();
  for (const [name, { elements, family }] of sets) {
    if (name !== `RW-owned${family}`) continue;
    for (const element of elements) {
      const [address = '', veth = ''] = element.split(',');
      owned.add(`${veth} ${address.includes('/') ? address : `${address}/${family === 4 ? 32 : 128}`}`);
    }
  }
  return owned;
};
