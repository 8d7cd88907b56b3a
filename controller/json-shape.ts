/** Checks that JSON from outside has the shape that is expected of it, and says where it hasn't. */

/** `containers.web.state: expected text` */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';
}

export type JsonObject = Readonly<Record<string, unknown>>;

/** A value and where it stands. */
export interface Placed {
  readonly value: unknown;
  readonly path: string;
}

export const placed = (value: unknown, path = ''): Placed => ({ value, path });

/** @throws ShapeError */
export function parseJson(text: string): Placed {
  try {
    return placed(JSON.parse(text));
  } catch (cause) {
    throw new ShapeError(`no JSON: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

export const at = (object: JsonObject, key: string, path: string): Placed =>
  placed(object[key], path === '' ? key : `${path}.${key}`);

/** The fields of an object, each with its place. @throws ShapeError where it is no object. */
export function fieldsOf(of: Placed): (key: string) => Placed {
  const object = asObject(of);
  return (key) => at(object, key, of.path);
}

export function asObject({ value, path }: Placed): JsonObject {
  if (!isObject(value)) throw wrong(path, 'an object', value);
  return value;
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** An absent object is an empty one. */
export const entriesOf = (of: Placed): [string, Placed][] =>
  of.value === undefined
    ? []
    : Object.entries(asObject(of)).map(([key, value]) => [key, placed(value, `${of.path}.${key}`)]);

export function asList({ value, path }: Placed): Placed[] {
  if (!Array.isArray(value)) throw wrong(path, 'a list', value);
  return value.map((item: unknown, index) => placed(item, `${path}[${index}]`));
}

export function asText({ value, path }: Placed): string {
  if (typeof value !== 'string') throw wrong(path, 'text', value);
  return value;
}

export function asNumber({ value, path }: Placed): number {
  if (typeof value !== 'number') throw wrong(path, 'a number', value);
  return value;
}

export function asBoolean({ value, path }: Placed): boolean {
  if (typeof value !== 'boolean') throw wrong(path, 'true or false', value);
  return value;
}

export function asOneOf<T extends string>(of: Placed, words: readonly T[]): T {
  const word = words.find((candidate) => candidate === of.value);
  if (word === undefined) throw wrong(of.path, words.join(', '), of.value);
  return word;
}

export const orNull = <T>(of: Placed, as: (of: Placed) => T): T | null =>
  of.value === null || of.value === undefined ? null : as(of);

function wrong(path: string, expected: string, value: unknown): ShapeError {
  const found = value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 60);
  return new ShapeError(`${path === '' ? 'the top' : path}: expected ${expected}, found ${found}`);
}
