/** What iptables of both kinds, ipset and arptables hold, read without routewall's own code: ours, and all else. */
import type { Place } from './place.ts';

/** A line of arptables -L doesn't name its chain. A program that isn't there has no rules. */
const READ = `
for variant in legacy nft; do for family in iptables ip6tables; do
command -v $family-$variant-save >/dev/null || continue
echo "== $family-$variant"; $family-$variant-save | grep '^[:-]' | sed 's/\\[.*\\]//'
done
command -v arptables-$variant >/dev/null || continue
echo "== arptables-$variant"; arptables-$variant -L -n -v |
sed -n 's/ , pcnt=.*//; s/^Chain \\([^ ]*\\) .*/:\\1 -/; /^:/{h;p;d}; /^-/{G; s/\\(.*\\)\\n:\\(.*\\) -$/-A \\2 \\1/; p}'
done
command -v ipset >/dev/null || exit 0
echo "== ipset"; ipset save | sed 's/ \\(initval\\|hashsize\\|bucketsize\\) [^ ]*//g' | sort
`;

/** Chains, rules and sets whose names begin as ours do, but for one of the tests' own. */
const isOurs = (line: string): boolean =>
  /^(?::|-A |-A \S+ (?:.* )?-[jg] |create |add )RW-/.test(line) && !line.includes('RW-theirs');

/** Chains of the kernel's own come with the first question about them. */
const isAnything = (line: string): boolean => /^(?::\S+ - ?$|-A |create |add )/.test(line);

async function readLines(host: Place, keep: (line: string) => boolean): Promise<string> {
  const { stdout } = await host.run('sh', ['-c', READ]);
  return stdout
    .split(/^(?=== )/m)
    .map((part) => {
      const [head = '', ...lines] = part.split('\n');
      return [head, ...lines.map((line) => line.trimEnd()).filter((line) => isAnything(line) && keep(line))];
    })
    .filter(({ length }) => length > 1)
    .map((lines) => `${lines.join('\n')}\n`)
    .join('');
}

/** Empty where nothing of ours is there, in either kind. */
export const readXtOwn = (host: Place): Promise<string> => readLines(host, isOurs);

/** All rules and sets but ours. */
export const readXtForeign = (host: Place): Promise<string> => readLines(host, (line) => !isOurs(line));
