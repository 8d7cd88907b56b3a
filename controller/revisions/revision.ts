/** One revision: the texts of the policy folder as they were taken over at once, and how that came. */
import { createHash } from 'node:crypto';
import type { PolicyFiles } from '../../policies/policy-files.ts';
import { type FileContent, sameContent } from '../../policies/source-text.ts';
import { asList, asNumber, asObject, asOneOf, asText, at, fieldsOf, orNull, type Placed } from '../json-shape.ts';

/** `first`: what was there when the daemon first ran; `edited`: files that changed and were followed. */
const WAYS = ['first', 'edited', 'apply', 'rollback'] as const;

/** Paths in the policy folder. */
export interface ChangedFiles {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

/** `revision.json`, beside the folder `policies` with the texts. */
export interface RevisionRecord {
  /** Counts from 1; later is greater. */
  readonly number: number;
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly by: string;
  readonly how: (typeof WAYS)[number];
  /** The revision whose texts a rollback brought back. */
  readonly of: number | null;
  /** Since the revision that was in force before. */
  readonly files: ChangedFiles;
  /** What it opened and closed for what ran, in words; `null`: not known (yet). */
  readonly flows: readonly string[] | null;
  /** Waits for `confirm`, was confirmed, or was taken back; `null` where nobody asked for that. */
  readonly confirmation: 'waiting' | 'confirmed' | 'taken-back' | null;
  /** Of the texts, so that damaged ones are never enforced. */
  readonly digest: string;
  /** Files with errors when it came into force, paths in the policy folder; `null`: not known (yet). */
  readonly broken: readonly string[] | null;
  /** Files that could not be read when it was made, with the reason. */
  readonly unreadable: Readonly<Record<string, string>>;
}

/** @throws ShapeError */
export function parseRevision(top: Placed): RevisionRecord {
  const field = fieldsOf(top);
  const files = fieldsOf(field('files'));
  const paths = (key: string): string[] => asList(files(key)).map(asText);
  const unreadable = asObject(field('unreadable'));
  return {
    number: asNumber(field('number')),
    at: asText(field('at')),
    by: asText(field('by')),
    how: asOneOf(field('how'), WAYS),
    of: orNull(field('of'), asNumber),
    files: { added: paths('added'), changed: paths('changed'), removed: paths('removed') },
    flows: orNull(field('flows'), (of) => asList(of).map(asText)),
    confirmation: orNull(field('confirmation'), (of) => asOneOf(of, ['waiting', 'confirmed', 'taken-back'] as const)),
    digest: asText(field('digest')),
    // Revisions that earlier releases kept have none.
    broken: orNull(orMissing(field('broken')), (of) => asList(of).map(asText)),
    unreadable: Object.fromEntries(
      Object.keys(unreadable).map((key) => [key, asText(at(unreadable, key, 'unreadable'))]),
    ),
  };
}

const orMissing = ({ value, path }: Placed): Placed => ({ value: value ?? null, path });

const digests = new WeakMap<PolicyFiles, string>();

/** Of names and contents, in any order. Known again for the same map, which therefore must not be changed. */
export function digestOf(files: PolicyFiles): string {
  const known = digests.get(files);
  if (known !== undefined) return known;
  const hash = createHash('sha256');
  for (const [path, content] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const bytes = bytesOf(content);
    // Lengths first: no content can pass for another file's beginning.
    hash.update(`${content instanceof Error ? 'error' : 'file'} ${Buffer.byteLength(path)} ${bytes.length}\n${path}`);
    hash.update(bytes);
  }
  const digest = hash.digest('hex');
  digests.set(files, digest);
  return digest;
}

const bytesOf = (content: FileContent): Uint8Array =>
  content instanceof Error
    ? Buffer.from(content.message)
    : typeof content === 'string'
      ? Buffer.from(content)
      : content;

export function diffFiles(before: PolicyFiles, after: PolicyFiles): ChangedFiles {
  const sorted = (paths: Iterable<string>): string[] => [...paths].sort();
  return {
    added: sorted([...after.keys()].filter((path) => !before.has(path))),
    changed: sorted(
      [...after].flatMap(([path, content]) => {
        const old = before.get(path);
        return old === undefined || sameContent(content, old) ? [] : path;
      }),
    ),
    removed: sorted([...before.keys()].filter((path) => !after.has(path))),
  };
}

export const allPaths = ({ added, changed, removed }: ChangedFiles): string[] =>
  [...added, ...changed, ...removed].sort();

/** `+containers/new.yaml, containers/web.yaml, -sets/old.txt`, or how many. */
export function describeFiles({ added, changed, removed }: ChangedFiles): string {
  const parts = [...added.map((file) => `+${file}`), ...changed, ...removed.map((file) => `-${file}`)];
  return parts.length > 5 ? `${parts.length} files` : parts.join(', ') || 'no files';
}
