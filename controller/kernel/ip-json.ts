/** What `ip -j` prints, as records whose fields are looked at one by one. */
import { CommandError, type Run, runOrThrow } from '../commands/run.ts';

/** `ip -j` prints nothing at all for an empty list of some objects; anything else that is no JSON is an error. */
export async function readJson(run: Run, args: readonly string[]): Promise<unknown> {
  const output = await runOrThrow(run, 'ip', ['-j', ...args]);
  if (output.trim() === '') return [];
  try {
    return JSON.parse(output);
  } catch (cause) {
    throw new CommandError(`ip -j ${args.join(' ')}: no JSON`, { cause });
  }
}

export type Fields = Readonly<Record<string, unknown>>;

export const records = (json: unknown): Fields[] =>
  Array.isArray(json) ? json.filter((entry): entry is Fields => typeof entry === 'object' && entry !== null) : [];

export const text = (value: unknown): string => (typeof value === 'string' ? value : '');
