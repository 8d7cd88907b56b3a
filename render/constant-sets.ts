/** Sets that hold what was known when they were rendered. */
import type { NftSet } from './ruleset.ts';

export const names = (list: readonly string[]): NftSet => ({
  kind: 'set',
  spec: 'type ifname;',
  dynamic: false,
  elements: new Map([...list].sort().map((name) => [`"${name}"`, ''])),
});

export const constants = (type: string, values: readonly number[]): NftSet => ({
  kind: 'set',
  spec: `type ${type};`,
  dynamic: false,
  elements: new Map(values.map((value) => [String(value), ''])),
});
