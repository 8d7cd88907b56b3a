/** Reads fields of parsed JSON without trusting its shape. */

/** `undefined` where `value` is no object or has no such field. */
export function fieldOf(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.entries(value).find(([name]) => name === key)?.[1];
}

export function textOf(value: unknown, key: string): string {
  const field = fieldOf(value, key);
  if (typeof field !== 'string') throw new Error(`expected a text as "${key}" in ${JSON.stringify(value)}`);
  return field;
}

export function numberOf(value: unknown, key: string): number {
  const field = fieldOf(value, key);
  if (typeof field !== 'number') throw new Error(`expected a number as "${key}" in ${JSON.stringify(value)}`);
  return field;
}

export function listOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error(`expected a list, got ${JSON.stringify(value)}`);
  return value;
}
