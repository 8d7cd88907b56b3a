/** Tests that a page names are there. */
import { readFileSync } from 'node:fs';

/** As it stands in a literal of any quote, also as one row of many. */
export function hasTest(file: string, name: string): boolean {
  const source = readFileSync(file, 'utf8').replaceAll("\\'", "'");
  return [`'${name}'`, `"${name}"`, `\`${name}\``].some((literal) => source.includes(literal));
}
