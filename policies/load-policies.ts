/** The whole policy folder as checked documents; what didn't change since the last load keeps its identity. */
import { type AddressSet, brokenSet, readAddressSet } from './address-set.ts';
import { brokenDocument, type ContentCache, type PolicyDocument, readPolicyDocument } from './policy-document.ts';
import { type PolicyFiles, policyFileKind } from './policy-files.ts';
import type { Problem } from './problem.ts';
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
  readonly documents: Memo<PolicyDocument>;
  readonly sets: Memo<AddressSet>;
  readonly services: Memo<ServiceTable>;
  readonly parsed: ContentCache;
}
type Memo<T> = Map<string, { readonly sources: readonly Source[]; readonly value: T }>;

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

/** Never throws for what files hold. `previous` saves parsing again what is the same. */
export function loadPolicies(files: PolicyFiles, previous?: LoadedPolicies): LoadedPolicies {
  const containers = new Map<string, PolicyDocument>();
  const profiles = new Map<string, PolicyDocument>();
  const sets = new Map<string, AddressSet>();
  let defaultPolicy: PolicyDocument | undefined;
  let services = catalogueTable;
  const memo: LoadMemo = { documents: new Map(), sets: new Map(), services: new Map(), parsed: parsedCache(previous) };
  for (const claim of claimsOf(files)) {
    if (claim.kind === 'set') sets.set(claim.name, loadSet(claim, memo, previous?.memo));
    else if (claim.kind === 'services') services = loadServices(claim, memo, previous?.memo);
    else {
      const document = loadDocument(claim, memo, previous?.memo);
      if (claim.kind === 'container') containers.set(claim.name, document);
      else if (claim.kind === 'profile') profiles.set(claim.name, document);
      else defaultPolicy = document;
    }
  }
  const all = [
    ...containers.values(),
    ...profiles.values(),
    ...sets.values(),
    ...(defaultPolicy ? [defaultPolicy] : []),
  ];
  const problems = [...all, services].flatMap((part) => part.problems);
  return { containers, defaultPolicy, profiles, sets, services, problems, memo };
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

function loadDocument(claim: Claim, memo: LoadMemo, previous: LoadMemo | undefined): PolicyDocument {
  return recall(claim, memo.documents, previous?.documents, {
    read: ({ file, content }) =>
      readPolicyDocument(file, content, claim.kind === 'profile' ? 'profile' : 'policy', memo.parsed),
    refuse: ({ file }, problems) => brokenDocument(file, problems),
  });
}

function loadSet(claim: Claim, memo: LoadMemo, previous: LoadMemo | undefined): AddressSet {
  return recall(claim, memo.sets, previous?.sets, {
    read: ({ file, content }) => readAddressSet(file, content),
    refuse: ({ file }, problems) => brokenSet(file, problems),
  });
}

function loadServices(claim: Claim, memo: LoadMemo, previous: LoadMemo | undefined): ServiceTable {
  return recall(claim, memo.services, previous?.services, {
    read: ({ file, content }) => readServiceTable(file, content),
    refuse: ({ file }, problems) => brokenTable(file, problems),
  });
}

interface Making<T> {
  readonly read: (source: Source) => T;
  readonly refuse: (first: Source, problems: readonly Problem[]) => T;
}

function recall<T>(claim: Claim, memo: Memo<T>, previous: Memo<T> | undefined, { read, refuse }: Making<T>): T {
  const sources = claim.sources.length > 1 ? claim.sources.sort(byFile) : claim.sources;
  const key = `${claim.kind} ${claim.name}`;
  const known = previous?.get(key);
  const [first] = sources;
  if (first === undefined) throw new Error(`${key}: claimed by no file`);
  const value =
    known !== undefined && sameSources(known.sources, sources)
      ? known.value
      : sources.length === 1
        ? read(first)
        : refuse(first, rivals(sources));
  memo.set(key, { sources, value });
  return value;
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
