/**
 * Every reader of what comes from outside, given texts that were good once: it answers, or says in its own words why not.
 * `ATTACK_SEED` makes other texts of them, `FUZZ_RUNS` more, and a failure prints both and the shrunk case.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CommandError } from '../../controller/commands/run.ts';
import { ShapeError } from '../../controller/json-shape.ts';
import { fileReaders } from './file-readers.ts';
import { mutated, stretched } from './mutations.ts';
import { policyReaders } from './policy-readers.ts';
import type { Reader } from './reader.ts';
import { savedReaders } from './saved-readers.ts';
import { runs } from './seed.ts';
import { toolReaders } from './tool-readers.ts';
import { xtReaders } from './xt-readers.ts';

const READERS: readonly Reader[] = [...policyReaders, ...fileReaders, ...toolReaders, ...savedReaders, ...xtReaders];

/** Its own words for a text that makes no sense, which callers wait for. */
const isSaid = (error: unknown): boolean => error instanceof ShapeError || error instanceof CommandError;

async function readOrSay({ read }: Reader, text: string): Promise<void> {
  try {
    await read(text);
  } catch (error) {
    if (!isSaid(error)) throw error;
  }
}

/** What takes quadratic time takes it at this length too, though not for ever. */
const LENGTH = Number(process.env['FUZZ_LENGTH'] ?? 10_000);

describe.each(READERS)('$name', (reader) => {
  it('is read to its end as it was before any accident', async () => {
    expect(reader.corpus.length).toBeGreaterThan(0);
    for (const text of reader.corpus) await reader.read(text);
  });

  it('is read without a crash whatever became of it', async () => {
    await fc.assert(
      fc.asyncProperty(mutated(reader.corpus), (text) => readOrSay(reader, text)),
      runs,
    );
  });

  it('is read in a time that grows with its length alone', async () => {
    for (const text of stretched(reader.corpus, Math.min(reader.longest, LENGTH))) await readOrSay(reader, text);
  });
});

const givesWords = READERS.flatMap(({ words: wordsOf, ...reader }) =>
  wordsOf === undefined ? [] : { ...reader, wordsOf },
);

describe.each(givesWords)('$name', ({ corpus, wordsOf }) => {
  it('gives words that no tool reads as two', () => {
    fc.assert(
      fc.property(mutated(corpus), (text) => {
        for (const word of wordsOf(text)) expect(word).toMatch(/^[^\s"'\\*/#]+(?:[/]\d+)?$/);
      }),
      runs,
    );
  });
});
