/** The whole policy folder as checked documents; what didn't change since the last load keeps its identity. */
import { changedKeys, changeMap } from '../render/shared-map.ts';
import { type AddressSet, brokenSet, readAddressSet } from './address-set.ts';
import { brokenDocument, type ContentCache, type PolicyDocument, readPolicyDocument } from './policy-document.ts';
import { type PolicyFiles, policyFileKind } from './policy-files.ts';
import { type Problem, uniqueProblems } from './problem.ts';
import { brokenTable, catalogueTable, readServiceTable, type ServiceTable } from './service-table.ts';
import { type FileContent, sameContent } from './source-text.ts';

export interface LoadedPolicies {
  /** By container name. */
  readonly containers: ReadonlyMap<string, PolicyDocument>;
  /** containers/_default.yaml */
  readonly defaultPolicy: PolicyDocument | undefined;
  readonly profiles: ReadonlyMap<string, PolicyDocument>;
  readonly sets: ReadonlyMap<string, AddressSet>;
  readonly services: ServiceTable;
  /** Of all files, each once; what only shows when names are looked up is compilePolicy's to tell. */
  readonly problems: readonly Problem[];
  /** What the next load starts from. */
  readonly memo: LoadMemo;
}

interface LoadMemo {
  readonly files: PolicyFiles;
  readonly documents: Memo<PolicyDocument>;
  readonly sets: Memo<AddressSet>;
  readonly services: Memo<ServiceTable>;
  readonly parsed: ContentCache;
}
type Memo<T> = ReadonlyMap<string, Known<T>>;

interface Known<T> {
  readonly sources: readonly Source[];
  readonly value: T;
}

interface Source {
  readonly file: string;
  readonly content: FileContent;
}

/** One thing, and the files that claim to be it; more than one is a mistake. */
interface Claim {
  readonly kind: 'container' | 'default' | 'profile' | 'set' | 'services';
  readonly name: string;
  readonly sources: Source[];
}

/** Never throws for what files hold. `previous` saves parsing again what is the same; neither map of files may ever be changed. */
export const loadPolicies = (files: PolicyFiles, previous?: LoadedPolicies): LoadedPolicies =>
  (previous && loadChanged(files, previous)) ?? loadAll(files, previous);

function loadAll(files: PolicyFiles, previous: LoadedPolicies | undefined): LoadedPolicies {
  const containers = new Map<string, PolicyDocument>();
  const profiles = new Map<string, PolicyDocument>();
  const sets = new Map<string, AddressSet>();
  let defaultPolicy: PolicyDocument | undefined;
  let services = catalogueTable;
  const before = previous?.memo;
  const parsed = parsedCache(previous);
  const known = { documents: new Map<string, Known<PolicyDocument>>(), sets: new Map(), services: new Map() };
  for (const claim of claimsOf(files)) {
    if (claim.kind === 'set') sets.set(claim.name, note(known.sets, claim, loadSet(claim, before)));
    else if (claim.kind === 'services') services = note(known.services, claim, loadServices(claim, before));
    else {
      const document = note(known.documents, claim, loadDocument(claim, before, parsed));
      if (claim.kind === 'container') containers.set(claim.name, document);
      else if (claim.kind === 'profile') profiles.set(claim.name, document);
      else defaultPolicy = document;
    }
  }
  const parts = { containers, defaultPolicy, profiles, sets, services };
  return { ...parts, problems: problemsOf(parts), memo: { files, ...known, parsed } };
}

type Parts = Omit<LoadedPolicies, 'problems' | 'memo'>;

const problemsOf = ({ containers, profiles, sets, defaultPolicy, services }: Parts): Problem[] => {
  const all = [containers.values(), profiles.values(), sets.values(), defaultPolicy ? [defaultPolicy] : [], [services]];
  const problems: Problem[] = [];
  for (const some of all) for (const part of some) problems.push(...part.problems);
  // In whatever order files were read, or changed since.
  return uniqueProblems(problems);
};

/** Out of the difference, where only containers' own files and profiles differ; otherwise `undefined`. */
function loadChanged(files: PolicyFiles, previous: LoadedPolicies): LoadedPolicies | undefined {
  const { memo } = previous;
  const changed = { container: new Map<string, Claim>(), profile: new Map<string, Claim>() };
  for (const file of changedKeys(memo.files, files)) {
    const kind = policyFileKind(file);
    if (kind === undefined) continue;
    if (kind.kind !== 'container' && kind.kind !== 'profile') return undefined;
    const claim = changed[kind.kind].get(kind.name) ?? { kind: kind.kind, name: kind.name, sources: [] };
    changed[kind.kind].set(kind.name, claim);
    const content = files.get(file);
    if (content !== undefined) claim.sources.push({ file, content });
  }
  const parsed = parsedCache(previous);
  const documents: [string, Known<PolicyDocument> | undefined][] = [];
  let hasProblems = previous.problems.length > 0;
  const load = (claim: Claim): [string, PolicyDocument | undefined] => {
    const sources = memo.documents.get(keyOf(claim))?.sources ?? [];
    // Those that stay; one that changed is among the claim's own.
    claim.sources.push(...sources.filter(({ file, content }) => files.get(file) === content));
    const known = claim.sources.length === 0 ? undefined : loadDocument(claim, memo, parsed);
    documents.push([keyOf(claim), known]);
    hasProblems ||= known !== undefined && known.value.problems.length > 0;
    return [claim.name, known?.value];
  };
  const containers = changeMap(previous.containers, [...changed.container.values()].map(load));
  const profiles = changeMap(previous.profiles, [...changed.profile.values()].map(load));
  const { defaultPolicy, sets, services } = previous;
  const parts = { containers, defaultPolicy, profiles, sets, services };
  return {
    ...parts,
    problems: hasProblems ? problemsOf(parts) : previous.problems,
    memo: { ...memo, files, documents: changeMap(memo.documents, documents), parsed },
  };
}

/** Addresses, prefixes and ranges in all lists, where neighbours count once. */
export const countListed = ({ sets }: LoadedPolicies): number =>
  [...sets.values()].reduce((sum, { ranges }) => sum + ranges[4].length + ranges[6].length, 0);

function claimsOf(files: PolicyFiles): Iterable<Claim> {
  const claims = new Map<string, Claim>();
  for (const [file, content] of files) {
    const kind = policyFileKind(file);
    if (kind === undefined) continue;
    const name = 'name' in kind ? kind.name : '';
    const key = `${kind.kind} ${name}`;
    const claim = claims.get(key) ?? { kind: kind.kind, name, sources: [] };
    claim.sources.push({ file, content });
    claims.set(key, claim);
  }
  return claims.values();
}

const keyOf = ({ kind, name }: Claim): string => `${kind} ${name}`;

function note<T>(memo: Map<string, Known<T>>, claim: Claim, known: Known<T>): T {
  memo.set(keyOf(claim), known);
  return known.value;
}

const loadDocument = (claim: Claim, before: LoadMemo | undefined, parsed: ContentCache): Known<PolicyDocument> =>
  recall(claim, before?.documents, {
    read: ({ file, content }) =>
      readPolicyDocument(file, content, claim.kind === 'profile' ? 'profile' : 'policy', parsed),
    refuse: ({ file }, problems) => brokenDocument(file, problems),
  });

const loadSet = (claim: Claim, before: LoadMemo | undefined): Known<AddressSet> =>
  recall(claim, before?.sets, {
    read: ({ file, content }) => readAddressSet(file, content),
    refuse: ({ file }, problems) => brokenSet(file, problems),
  });

const loadServices = (claim: Claim, before: LoadMemo | undefined): Known<ServiceTable> =>
  recall(claim, before?.services, {
    read: ({ file, content }) => readServiceTable(file, content),
    refuse: ({ file }, problems) => brokenTable(file, problems),
  });

interface Making<T> {
  readonly read: (source: Source) => T;
  readonly refuse: (first: Source, problems: readonly Problem[]) => T;
}

function recall<T>(claim: Claim, previous: Memo<T> | undefined, { read, refuse }: Making<T>): Known<T> {
  const sources = claim.sources.length > 1 ? claim.sources.sort(byFile) : claim.sources;
  const known = previous?.get(keyOf(claim));
  const [first] = sources;
  if (first === undefined) throw new Error(`${keyOf(claim)}: claimed by no file`);
  if (known !== undefined && sameSources(known.sources, sources)) return { sources, value: known.value };
  return { sources, value: sources.length === 1 ? read(first) : refuse(first, rivals(sources)) };
}

const byFile = (a: Source, b: Source): number => (a.file < b.file ? -1 : 1);

function sameSources(a: readonly Source[], b: readonly Source[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ file, content }, index) => file === b[index]?.file && sameContent(content, b[index]?.content))
  );
}

/** Which of them would win is a guess, so none does. */
function rivals(sources: readonly Source[]): Problem[] {
  const names = sources.map(({ file }) => file).join(' and ');
  const message = `${names} are for the same thing: keep one of them`;
  return sources.map(({ file }) => ({ file, line: 1, column: 1, message, severity: 'error' }));
}

/** Texts that no file holds any more are forgotten once they are the most. */
function parsedCache(previous: LoadedPolicies | undefined): ContentCache {
  if (previous === undefined) return new Map();
  const { parsed, documents } = previous.memo;
  const size = [...parsed.values()].reduce((sum, texts) => sum + texts.size, 0);
  return size > 2 * documents.size + 64 ? new Map() : parsed;
}
