/** The peers of a rule, resolved: names through the address book and the sets, addresses merged by family. */
import { type AddressRange, bitsOf, type Family, mergeRanges, type Prefix } from '../render/address.ts';
import type { DnsName } from '../render/dns-name.ts';
import type { PeerMatch } from '../render/rule.ts';
import { type FamilyRanges, rangesOfPrefixes } from './address-book.ts';
import type { CompileContext, PlacedWord } from './compile-context.ts';
import { parsePeerWord } from './peer-words.ts';
import type { PolicyDocument } from './policy-document.ts';
import { isError } from './problem.ts';
import { closestWord, didYouMean, missingFile } from './suggest.ts';

/** What one peer word came to; both families empty is an empty set. */
export interface ResolvedPeer {
  readonly word: PlacedWord;
  readonly target: 'any' | 'host' | 'lan' | 'internet' | { readonly dns: DnsName } | FamilyRanges;
}

/** One alternative of a rule; `family` restricts it where the match has none of its own. */
export interface PeerAlternative {
  readonly family?: Family;
  readonly peer: PeerMatch;
}

/** `undefined` after an error, which is reported. */
export function resolvePeer(
  word: PlacedWord,
  document: PolicyDocument,
  context: CompileContext,
): ResolvedPeer | undefined {
  const parsed = parsePeerWord(word.text);
  const fail = (message: string) => context.report(document.problemAt(word.path, message));
  switch (parsed.kind) {
    case 'error':
      return void fail(parsed.message + containerHint(word.text, context));
    case 'range': {
      if (parsed.warning !== undefined) context.report(document.problemAt(word.path, parsed.warning, 'warning'));
      const { range } = parsed;
      return { word, target: { 4: range.family === 4 ? [range] : [], 6: range.family === 6 ? [range] : [] } };
    }
    case 'set':
      return resolveSet(parsed.name, word, document, context);
    case 'container':
    case 'group': {
      const target = resolveNamed(parsed.kind, parsed.name, context);
      return typeof target === 'string' ? void fail(target) : { word, target };
    }
    case 'dns':
      return { word, target: { dns: parsed.name } };
    case 'any':
    case 'host':
    case 'lan':
    case 'internet':
      return { word, target: parsed.kind };
  }
}

function containerHint(text: string, { book }: CompileContext): string {
  return book.container(text) === undefined ? '' : `; did you mean "container:${text}"?`;
}

/** The addresses, or what is wrong. */
function resolveNamed(kind: 'container' | 'group', name: string, context: CompileContext): FamilyRanges | string {
  const prefixes: readonly Prefix[] | undefined = context.lookups.ask(kind, name);
  if (prefixes === undefined) {
    const names = kind === 'container' ? context.book.containerNames() : context.book.groupNames();
    const closest = closestWord(name, [...names]);
    return `unknown ${kind} "${name}"${closest === undefined ? '' : `: did you mean "${kind}:${closest}"?`}`;
  }
  if (prefixes.length === 0) return `the ${kind} "${name}" has no routed addresses: a rule can't name it`;
  return rangesOfPrefixes(prefixes);
}

function resolveSet(
  name: string,
  word: PlacedWord,
  document: PolicyDocument,
  context: CompileContext,
): ResolvedPeer | undefined {
  const set = context.lookups.ask('set', name);
  if (set === undefined) {
    const hint = didYouMean(name, context.loaded.sets.keys()) || missingFile('sets', name, '.yaml or .txt');
    return void context.report(document.problemAt(word.path, `unknown set "${name}"${hint}`));
  }
  if (!set.ok) {
    const first = set.problems.find(isError);
    const place = first === undefined ? set.file : `${first.file}:${first.line}`;
    return void context.report(document.problemAt(word.path, `the set "${name}" has errors: see ${place}`));
  }
  if (set.ranges[4].length + set.ranges[6].length === 0) {
    context.report(document.problemAt(word.path, `the set "${name}" is empty: it matches nothing`, 'warning'));
  }
  return { word, target: set.ranges };
}

/** The families that a peer reaches; none for an empty set. */
export function peerFamilies({ target }: ResolvedPeer): Family[] {
  // A name may get addresses of either family.
  if (typeof target === 'string' || 'dns' in target) return [4, 6];
  return ([4, 6] as const).filter((family) => target[family].length > 0);
}

/** As few alternatives as say the same, always in the same order. */
export function mergePeers(peers: readonly ResolvedPeer[]): PeerAlternative[] {
  const named = new Set(peers.flatMap(({ target }) => (typeof target === 'string' ? [target] : [])));
  if (named.has('any')) return [{ peer: { kind: 'any' } }];
  const four = mergeFamily(4, peers);
  const six = mergeFamily(6, peers);
  if (four?.peer.kind === 'any' && six?.peer.kind === 'any') return [{ peer: { kind: 'any' } }];
  const kinds = (['host', 'lan', 'internet'] as const).filter((kind) => named.has(kind));
  const names = peers.flatMap(({ target }) => (typeof target !== 'string' && 'dns' in target ? [target.dns] : []));
  return [
    ...kinds.map((kind) => ({ peer: { kind } })),
    ...[...new Set(names)].sort().map((name) => ({ peer: { kind: 'dns' as const, name } })),
    ...(four ? [four] : []),
    ...(six ? [six] : []),
  ];
}

function mergeFamily(family: Family, peers: readonly ResolvedPeer[]): PeerAlternative | undefined {
  const lists = peers.flatMap(({ target }) => (typeof target === 'string' || 'dns' in target ? [] : [target[family]]));
  const filled = lists.filter((list) => list.length > 0);
  const [only] = filled;
  if (only === undefined) return undefined;
  // A set that stands alone keeps its list's identity, which hashing and rendering remember by.
  const ranges = filled.length === 1 ? only : mergeRanges(filled.flat());
  if (coversFamily(ranges, family)) return { family, peer: { kind: 'any' } };
  return { peer: { kind: 'ranges', family, ranges } };
}

function coversFamily([first]: readonly AddressRange[], family: Family): boolean {
  return first?.first === 0n && first.last === (1n << BigInt(bitsOf(family))) - 1n;
}
