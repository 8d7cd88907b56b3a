/** "did you mean": the known word that a mistyped one is closest to. */
import { distance } from 'fastest-levenshtein';

/** What other firewalls, and people, call it. */
const OTHERWISE: Readonly<Record<string, readonly string[]>> = {
  accept: ['allow', 'open'],
  permit: ['allow'],
  pass: ['allow'],
  deny: ['drop', 'closed'],
  drop: ['closed'],
  block: ['drop', 'closed'],
  allow: ['open'],
  nft: ['nftables'],
  xtables: ['iptables'],
  src: ['from'],
  source: ['from'],
  dst: ['to'],
  dest: ['to'],
  destination: ['to'],
  out: ['egress'],
  output: ['egress'],
  outgoing: ['egress'],
  in: ['ingress'],
  input: ['ingress'],
  incoming: ['ingress'],
  all: ['any'],
  everything: ['any'],
  world: ['any', 'internet'],
  localhost: ['host'],
  echo: ['echo-request'],
  ping: ['echo-request'],
};

/** `undefined` where nothing is close: about one wrong letter in three is. */
export function closestWord(word: string, known: readonly string[]): string | undefined {
  const meant = Object.hasOwn(OTHERWISE, word.toLowerCase()) ? OTHERWISE[word.toLowerCase()] : undefined;
  return meant?.find((candidate) => known.includes(candidate)) ?? nearest(word, known);
}

function nearest(word: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  const lower = word.toLowerCase();
  for (const candidate of known) {
    if (Math.abs(candidate.length - word.length) > bestDistance) continue;
    const candidateDistance = distance(lower, candidate.toLowerCase());
    // Files may be listed in any order.
    const isFirst = best !== undefined && candidateDistance === bestDistance && candidate < best;
    if (candidateDistance < bestDistance || isFirst) {
      best = candidate;
      bestDistance = candidateDistance;
    }
  }
  return best;
}

/** `: did you mean "X"?`, or nothing. */
export function didYouMean(word: string, known: Iterable<string>): string {
  const closest = closestWord(word, [...known]);
  return closest === undefined ? '' : `: did you mean "${closest}"?`;
}

/** Of what is named after a file, and whose file isn't there. */
export function missingFile(folder: string, name: string, endings: string): string {
  const ending = /[.](ya?ml|json|txt)$/.exec(name)?.[0];
  return ending === undefined ? `: there is no ${folder}/${name}${endings}` : `: write it without ${ending}`;
}
