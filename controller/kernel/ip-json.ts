/** What `ip -j` prints, as records whose fields are looked at one by one. */
import type { Pieces } from '../../render/pieces.ts';
import { CommandError, type Run, runOrThrow } from '../commands/run.ts';
import { createTurn, inTurns, type Turn } from '../in-turns.ts';
import { messageOf } from '../log.ts';

/** Of `ip -j`. @throws CommandError */
export async function readJson(run: Run, args: readonly string[], turn = createTurn()): Promise<unknown> {
  return await jsonOf(await runOrThrow(run, 'ip', ['-j', ...args]), `ip -j ${args.join(' ')}`, turn);
}

/** `ip -j` prints nothing at all for an empty list of some objects; anything else that is no JSON is an error. */
export async function jsonOf(output: string, of: string, turn: Turn): Promise<unknown> {
  if (output.trim() === '') return [];
  try {
    return await inTurns(parseInPieces(output), turn);
  } catch (cause) {
    throw new CommandError(`${of}: no JSON`, { cause });
  }
}

/** The second where it goes after `ip` has looked up its index. */
const IS_GONE = /does not exist|No such device/;

/** Of a link alone, at a cost that the others have no part in; none where it isn't there. */
export async function readJsonOf(run: Run, args: readonly string[], link: string): Promise<Fields[]> {
  const shown = await readJson(run, [...args, 'dev', link]).catch((cause: unknown) => {
    if (IS_GONE.test(messageOf(cause))) return [];
    throw cause;
  });
  // Another may have it as an alternative name.
  return records(shown).filter(({ ifname }) => ifname === link);
}

/** So much is parsed in a millisecond. */
const PIECE = 1 << 17;

/**
 * As JSON.parse, which takes 50 ms for the links of 10,000 containers: a list of objects is cut where one begins like the
 * first. Where that is inside of one, the piece is no JSON, and is parsed with the next.
 */
function* parseInPieces(output: string): Pieces<unknown> {
  const [, first] = /^\[\{("\w+":)/.exec(output) ?? [];
  if (first === undefined) return JSON.parse(output);
  const all: unknown[] = [];
  let from = 1;
  for (let next = PIECE; ; next += PIECE) {
    const cut = output.indexOf(`},{${first}`, next);
    if (cut < 0) break;
    next = cut;
    const piece = parseList(output.slice(from, cut + 1));
    if (piece === undefined) continue;
    for (const each of piece) all.push(each);
    from = cut + 2;
    yield;
  }
  const rest: unknown = JSON.parse(`[${output.slice(from)}`);
  return all.concat(rest);
}

function parseList(items: string): unknown[] | undefined {
  try {
    const list: unknown = JSON.parse(`[${items}]`);
    return Array.isArray(list) ? list : undefined;
  } catch {
    return undefined;
  }
}

export type Fields = Readonly<Record<string, unknown>>;

export const records = (json: unknown): Fields[] =>
  Array.isArray(json) ? json.filter((entry): entry is Fields => typeof entry === 'object' && entry !== null) : [];

export const text = (value: unknown): string => (typeof value === 'string' ? value : '');
