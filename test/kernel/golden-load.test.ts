/** Every golden ruleset and its routing in a real kernel; each in a network namespace that ends with its shell. */
import { describe, expect, it } from 'vitest';
import { run, runOrThrow } from '../../controller/commands/run.ts';
import { listElsewhere } from '../../controller/kernel/observe.ts';
import { diffListings, parseListing } from '../../render/listing.ts';
import { type NftTable, type Ruleset, renderRuleset } from '../../render/ruleset.ts';
import { caseNames, runCase } from '../cases/golden-case.ts';

/** Files come as here-documents with quoted words, so that the shell reads nothing in them. */
const script = (links: string, families: string, ruleset: string, routing: string, uplinks: string): string => `
set -e
ip -batch - <<'END-OF-LINKS'
${links}END-OF-LINKS
load() { nft -f - <<'END-OF-RULESET'
${ruleset}END-OF-RULESET
}
route() { ip -batch - <<'END-OF-ROUTING'
${routing}END-OF-ROUTING
}
load
for family in ${families}; do nft -s list table $family routewall; done
load
route
while read -r line; do ip $line; done <<'END-OF-UPLINKS'
${uplinks}END-OF-UPLINKS
show() { ip -4 route show table all proto 119; ip -6 route show table all proto 119; ip rule; ip -6 rule; ip neigh show proxy; ip -br address show scope link; }
show > "$1/once"
route
show > "$1/twice"
echo === $(grep -c metric "$1/once") routes, $(grep -c proxy "$1/once") proxies, $(diff "$1/once" "$1/twice" | wc -l) differ
`;

const inNamespace = (text: string): Promise<string> =>
  runOrThrow(run, 'unshare', ['--net', 'sh', '-c', 'd=$(mktemp -d); trap "rm -r $d" EXIT; sh -s "$d"'], {
    input: text,
  });

/** Without any address of its own, a namespace takes every next hop for a broadcast address. */
const linkLines = (names: readonly string[]): string =>
  [
    'link set dev lo up\n',
    ...names.map(
      (name, index) =>
        `link add name ${name} type veth peer name p${index}\nlink set dev ${name} up\nlink set dev p${index} up\n`,
    ),
  ].join('');

const sizesOf = (ruleset: Ruleset): unknown =>
  [...ruleset].map(([family, { sets, chains }]: [string, NftTable]) => [
    family,
    Object.fromEntries([...sets].sort().map(([name, { elements }]) => [name, elements.size])),
    Object.fromEntries([...chains].sort().map(([name, { rules }]) => [name, rules.length])),
  ]);

describe.each(caseNames())('%s', (name) => {
  it('loads twice, is listed as what was meant, and routes twice to the same end', async () => {
    const { ruleset, links, veths, files } = await runCase(name);
    const names = [...new Set([...links.map((link) => link.name).filter((link) => link !== 'lo'), ...veths])];
    const routing = files.get('routing.ip') ?? '';
    const uplinks = files.get('uplinks.ip') ?? '';
    const output = await inNamespace(
      script(linkLines(names), [...ruleset.keys()].join(' '), renderRuleset(ruleset), routing, uplinks),
    );
    const [listing = '', summary] = output.split('=== ');
    const observed = parseListing(listing);
    expect(sizesOf(observed)).toEqual(sizesOf(ruleset));
    expect(diffListings(observed, await listElsewhere(run, ruleset), ruleset)).toEqual([]);
    const all = `${routing}${uplinks.replace(/^-[46] /gm, '')}`.split('\n');
    const count = (word: string): number => all.filter((line) => line.startsWith(word)).length;
    expect(summary).toBe(`${count('route')} routes, ${count('neigh')} proxies, 0 differ\n`);
  });
});
