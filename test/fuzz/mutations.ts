/** Texts that were good once: cut, doubled, spliced, stretched, and sprinkled with what parsers trip over. */
import fc from 'fast-check';

/** What ends a word, a string, a line or a statement somewhere, and numbers and names that aren't what they seem. */
const SPRINKLES = [
  ...[
    '"',
    "'",
    '`',
    '\\',
    ';',
    '{',
    '}',
    '[',
    ']',
    '(',
    ')',
    '<',
    '>',
    '|',
    '&',
    '$',
    '#',
    '*',
    '?',
    '!',
    '~',
    '@',
    '%',
  ],
  ...[' ', '\t', '\n', '\r', '\r\n', '\0', '\v', '\f', '\u00a0', '\u2028', '\ufeff', '\ufffd', '\ud800', '\u0130', 'é'],
  ...[
    '-',
    '--',
    '=',
    ':',
    ': ',
    '- ',
    ',',
    '.',
    '..',
    '/',
    '../',
    '::',
    '0',
    '-1',
    '00',
    '0x1',
    '1e9',
    '1e999',
    '\u0661',
  ],
  ...[
    '4294967296',
    '18446744073709551616',
    '999999999999999999999999',
    'NaN',
    'null',
    'true',
    '[]',
    '{}',
    '[null]',
    '""',
  ],
  ...[
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    '&a *a',
    '!!js/function',
    '<<: ',
    '? ',
    '%YAML 9',
    '---\n',
  ],
  ...['; flush ruleset', '" ; flush ruleset ; #', '$(reboot)', '\nadd rule inet routewall input accept\n', 'dev lo'],
  ...['192.0.2.1', '2001:db8::1', '::ffff:192.0.2.1', 'fe80::1%eth0', '0.0.0.0/0', '::/0', '192.0.2.9-192.0.2.1'],
] as const;

type Edit = (text: string, others: readonly string[]) => string;

const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
const at = (text: string, where: number): number => Math.floor(where * (text.length + 1));
const cut = (text: string, a: number, b: number): [string, string, string] => {
  const [from, to] = [at(text, Math.min(a, b)), at(text, Math.max(a, b))];
  return [text.slice(0, from), text.slice(from, to), text.slice(to)];
};

const edit: fc.Arbitrary<Edit> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(place, fc.constantFrom(...SPRINKLES)).map(
      ([where, word]): Edit =>
        (text) => {
          const index = at(text, where);
          return text.slice(0, index) + word + text.slice(index);
        },
    ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(place, fc.constantFrom(...SPRINKLES)).map(
      ([where, word]): Edit =>
        (text) => {
          const index = at(text, where);
          return text.slice(0, index) + word + text.slice(index + 1);
        },
    ),
  },
  fc.tuple(place, place).map(
    ([a, b]): Edit =>
      (text) => {
        const [head, , tail] = cut(text, a, b);
        return head + tail;
      },
  ),
  fc.tuple(place, place, fc.constantFrom(2, 3, 40)).map(
    ([a, b, times]): Edit =>
      (text) => {
        const [head, middle, tail] = cut(text, a, b);
        return text.length > 20_000 ? text : head + middle.repeat(times) + tail;
      },
  ),
  fc.tuple(place, place, fc.nat()).map(
    ([a, b, which]): Edit =>
      (text, others) => {
        const other = others[which % others.length] ?? '';
        return text.slice(0, at(text, a)) + other.slice(at(other, b));
      },
  ),
  fc.tuple(place, fc.integer({ min: 0, max: 0xffff })).map(
    ([where, code]): Edit =>
      (text) => {
        const index = at(text, where);
        return text.slice(0, index) + String.fromCharCode(code) + text.slice(index + 1);
      },
  ),
);

/** A text of the corpus after up to six accidents; shrinks to the fewest that still fail. */
export const mutated = (corpus: readonly string[]): fc.Arbitrary<string> =>
  fc
    .tuple(fc.constantFrom(...corpus), fc.array(edit, { maxLength: 6 }))
    .map(([text, edits]) => edits.reduce((changed, one) => one(changed, corpus), text));

/** Each text's first words, then one unit again and again: what takes quadratic time shows itself. */
export function stretched(corpus: readonly string[], length: number): string[] {
  const heads = ['', ...corpus.slice(0, 1).map((text) => text.slice(0, 40))];
  const units = [
    'a',
    '0',
    ' ',
    '\t',
    '\n',
    '"',
    "'",
    '[',
    '{',
    '(',
    '- ',
    ': ',
    ', ',
    '.',
    '::',
    '<',
    'a\n',
    '\\',
    '=',
    '@a',
    '1-',
    '#',
  ];
  return heads.flatMap((head) => units.map((unit) => head + unit.repeat(Math.ceil(length / unit.length))));
}
