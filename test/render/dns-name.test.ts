/** What counts as a DNS name: nothing that isn't one may reach a resolver, or a text of nft's. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseAddress } from '../../render/address.ts';
import { parseDnsName } from '../../render/dns-name.ts';
import { changedNames, dnsNameOfSet, dnsSetName, dnsSets } from '../../render/dns-sets.ts';

const label63 = 'a'.repeat(63);

it.each([
  ['deb.debian.org', 'deb.debian.org'],
  ['Deb.Debian.ORG.', 'deb.debian.org'],
  ['localhost', 'localhost'],
  ['_dmarc.example', '_dmarc.example'],
  ['a_b.1-2.example', 'a_b.1-2.example'],
  ['bücher.example', 'xn--bcher-kva.example'],
  ['例え。jp', 'xn--r8jz45g.jp'],
  [`${label63}.example`, `${label63}.example`],
])('takes %s as %s', (text, name) => expect(parseDnsName(text)).toBe(name));

it.each([
  '',
  '.',
  '..',
  'a..b',
  '.a',
  'a.b..',
  '-a.example',
  'a-.example',
  `${label63}a.example`,
  `${`${label63}.`.repeat(4)}ab`,
  '192.0.2.1',
  'a.1',
  '2001:db8::1',
  '[::1]',
  '*.example',
  'a b',
  'a\nb',
  'a"b',
  "a'b",
  'a;b',
  'a}b',
  'a,b',
  'a$b',
  'a%2eb',
  'ex%61mple.com',
  'http://a',
  'a@b',
  'a#b',
  'xn--iñvalid.com',
  'ü'.repeat(70),
  'a\u0000b',
])('refuses %j', (text) => expect(parseDnsName(text)).toBeUndefined());

it('lets nothing through that nft could read as more than a word', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (text) => {
      const name = parseDnsName(text);
      if (name !== undefined) expect(name).toMatch(/^[a-z0-9_.-]{1,253}$/);
    }),
    { numRuns: 2000 },
  );
});

const name = (text: string) => parseDnsName(text) ?? expect.fail(`${text} is a name`);
const address = (text: string) => parseAddress(text) ?? expect.fail(`${text} is an address`);

it('names a set by the name alone, and finds the name again in it', () => {
  const long = name(`${'a'.repeat(60)}.`.repeat(4).slice(0, -1));
  const answers = new Map([[name('deb.example'), [address('203.0.113.80'), address('2001:db8:ffff::80')]]]);
  const [four, six, ...more] = dnsSets([name('deb.example'), name('deb.example')], answers);
  expect(more).toEqual([]);
  expect([four?.[0], six?.[0]]).toEqual([4, 6].map((family) => dnsSetName(name('deb.example'), family === 4 ? 4 : 6)));
  expect([...(four?.[1].elements.keys() ?? [])]).toEqual(['203.0.113.80']);
  expect([...(six?.[1].elements.keys() ?? [])]).toEqual(['2001:db8:ffff::80']);
  for (const [set, content] of dnsSets(answers.keys(), new Map())) {
    expect(dnsNameOfSet(set, content)).toBe('deb.example');
    expect(content.elements.size).toBe(0);
    // Somebody else's comment on a set of ours proves nothing.
    expect(dnsNameOfSet('peers4_0123456789ab', content)).toBeUndefined();
  }
  for (const [set, content] of dnsSets([long], new Map())) expect(dnsNameOfSet(set, content)).toBeUndefined();
});

it('tells the names whose addresses are others', () => {
  const [a, b, c] = [name('a.example'), name('b.example'), name('c.example')];
  const before = new Map([
    [a, [address('203.0.113.80')]],
    [b, [address('203.0.113.81')]],
  ]);
  expect(changedNames(before, new Map([...before].reverse()))).toEqual([]);
  expect(
    changedNames(
      before,
      new Map([
        [a, [address('203.0.113.80')]],
        [c, []],
      ]),
    ),
  ).toEqual([b]);
  expect(changedNames(before, new Map([...before, [b, []], [c, [address('203.0.113.1')]]]))).toEqual([b, c]);
});
