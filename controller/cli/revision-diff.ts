/** What a revision changed in the texts of the policies. */
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';
import type { PolicyFiles } from '../../policies/policy-files.ts';
import type { FileContent } from '../../policies/source-text.ts';
import { messageOf } from '../log.ts';
import { allPaths, diffFiles, type RevisionRecord } from '../revisions/revision.ts';
import type { Revision, RevisionStore } from '../revisions/revision-store.ts';
import { CliError, EXIT } from './exit.ts';

export interface RevisionDiff {
  readonly record: RevisionRecord;
  /** The revision that was in force before; `null`: none that is kept. */
  readonly against: number | null;
  /** Unified; names are those of the files below revisions/. */
  readonly diff: string;
}

const PLAIN = { context: 3, headerOptions: FILE_HEADERS_ONLY };

/** @throws CliError for a revision that can't be told. */
export async function readRevisionDiff(store: RevisionStore, number: number): Promise<RevisionDiff> {
  const { record, files } = await store.read(number).catch((cause: unknown) => {
    throw new CliError(EXIT.no, `${messageOf(cause)}; routewall history lists them`, { cause });
  });
  const before = await readBefore(store, number);
  const old = before?.files ?? new Map<string, FileContent>();
  const diff = allPaths(diffFiles(old, files)).map((path) => {
    const [from, to] = [nameOf(before?.record.number, old, path), nameOf(number, files, path)];
    const [was, is] = [textOf(old.get(path)), textOf(files.get(path))];
    return createTwoFilesPatch(from, to, was, is, undefined, undefined, PLAIN);
  });
  return { record, against: before?.record.number ?? null, diff: diff.join('') };
}

/** What was taken back was in force before nothing but what came back. */
async function readBefore(store: RevisionStore, number: number): Promise<Revision | undefined> {
  for (const earlier of (await store.numbers()).filter((one) => one < number).reverse()) {
    const revision = await store.read(earlier).catch(() => undefined);
    if (revision !== undefined && revision.record.confirmation !== 'taken-back') return revision;
  }
  return undefined;
}

const nameOf = (number: number | undefined, files: PolicyFiles, path: string): string =>
  files.has(path) ? `${number}/policies/${path}` : '/dev/null';

/** One that couldn't be read was in force as one with an error. */
function textOf(content: FileContent | undefined): string {
  if (content === undefined) return '';
  if (content instanceof Error) return `(could not be read: ${content.message})\n`;
  return typeof content === 'string' ? content : Buffer.from(content).toString();
}
