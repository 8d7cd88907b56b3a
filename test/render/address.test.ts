/** Addresses against a naive reading of them, which knows no library. */
import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type AddressRange,
  addressFrom,
  addressNumber,
  contains,
  type Family,
  familyOf,
  formatRange,
  hasHostBits,
  hostPrefix,
  isHostPrefix,
  mergeRanges,
  networkOf,
  parseAddress,
  parsePrefix,
  parseRange,
  prefixesOf,
  prefixLength,
  prefixOf,
  rangeOf,
  rangesOverlap,
} from '../../render/address.ts';
import { carriedBy, NON_PUBLIC } from '../../render/non-public.ts';
import { certain } from '../controller/states.ts';

const bits = { 4: 32, 6: 128 } as const;
const family = fc.constantFrom<Family>(4, 6);
/** Small ones too, so that ranges meet. */
const numberOf = (of: Family) =>
  fc.oneof(fc.bigInt({ min: 0n, max: 40n }), fc.bigInt({ min: 0n, max: (1n << BigInt(bits[of])) - 1n }));
const familyAndNumber = family.chain((of) => fc.record({ of: fc.constant(of), number: numberOf(of) }));
const range = family.chain((of) =>
  fc.tuple(numberOf(of), numberOf(of)).map(
    ([a, b]): AddressRange => ({
      family: of,
      first: a < b ? a : b,
      last: a < b ? b : a,
    }),
  ),
);

function naive4(text: string): bigint {
  return text.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
}

function naive6(text: string): bigint {
  const [head = '', tail] = text.split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0');
  return [...left, ...zeros, ...right].reduce((sum, group) => sum * 65536n + BigInt(`0x${group}`), 0n);
}

const naive = (text: string): bigint => (text.includes(':') ? naive6(text) : naive4(text));

const long6 = (number: bigint): string =>
  (number.toString(16).padStart(32, '0').toUpperCase().match(/.{4}/g) ?? []).join(':');

const isMapped = (number: bigint): boolean => number >> 32n === 0xffffn;

describe('an address', () => {
  it('is read and written as its number', () => {
    fc.assert(
      fc.property(familyAndNumber, ({ of, number }) => {
        const address = addressFrom(number, of);
        expect(isIP(address)).toBe(of);
        expect(naive(address)).toBe(number);
        expect(addressNumber(address)).toBe(number);
        expect(familyOf(address)).toBe(of);
        if (of === 4 || !isMapped(number)) expect(parseAddress(address)).toBe(address);
      }),
    );
  });

  it('has one spelling, whatever it was spelled like', () => {
    fc.assert(
      fc.property(numberOf(6), (number) => {
        fc.pre(!isMapped(number));
        expect(parseAddress(long6(number))).toBe(addressFrom(number, 6));
        expect(parseAddress(long6(number).toLowerCase())).toBe(addressFrom(number, 6));
      }),
    );
    // With `::` anywhere, also for one zero alone, or beside others.
    const group = fc.constantFrom('0', '0', '1', '00a', 'b0', 'ffff', 'c0de');
    fc.assert(
      fc.property(fc.array(group, { maxLength: 7 }), fc.nat(7), (groups, at) => {
        const text = `${groups.slice(0, at).join(':')}::${groups.slice(at).join(':')}`;
        const number = naive(text);
        if (!isMapped(number)) expect(parseAddress(text)).toBe(addressFrom(number, 6));
      }),
      { numRuns: 2_000 },
    );
    expect(parseAddress('2001:DB8:0:0::0:1')).toBe('2001:db8::1');
    expect(parseAddress('2001:db8::198.51.100.7')).toBe('2001:db8::c633:6407');
  });

  it.each([
    ...['', ' ', '192.0.2', '192.0.2.256', '192.0.2.01', '010.0.0.1', '0x7f.0.0.1', '192.0.2.1.', '3221225985'],
    ...['192.0.2.1/32', ' 192.0.2.1', '192.0.2.1\n', '192.0.2.1-192.0.2.2', 'localhost', '2001:db8:::1', '2001:db8'],
    ...['fe80::1%eth0', '::ffff:192.0.2.1', '::ffff:c000:201', '2001:db8::1::', '[::1]', '١٩٢.0.2.1', '12345::'],
  ])('is not %j', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  it('is nothing that node would not take', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-f:.%/-]{1,20}$/)), (text) => {
        const address = parseAddress(text);
        if (address === undefined) return;
        expect(isIP(text)).not.toBe(0);
        expect(address).toMatch(/^[0-9a-f:.]+$/);
      }),
    );
  });
});

describe('a prefix', () => {
  it('holds exactly the addresses that share its leading bits', () => {
    const sample = familyAndNumber.chain(({ of, number }) =>
      fc.record({ of: fc.constant(of), number: fc.constant(number), length: fc.nat(bits[of]), other: numberOf(of) }),
    );
    fc.assert(
      fc.property(sample, ({ of, number, length, other }) => {
        fc.pre(of === 4 || (!isMapped(number) && !isMapped(other)));
        const prefix = parsePrefix(`${addressFrom(number, of)}/${length}`) ?? expect.unreachable();
        const shift = BigInt(bits[of] - length);
        expect(prefix).toBe(prefixOf(number, length, of));
        expect(prefixLength(prefix)).toBe(length);
        expect(addressNumber(networkOf(prefix))).toBe((number >> shift) << shift);
        expect(contains(rangeOf(prefix), addressFrom(other, of))).toBe(other >> shift === number >> shift);
        expect(isHostPrefix(prefix)).toBe(length === bits[of]);
        expect(parseRange(formatRange(rangeOf(prefix)))).toEqual(rangeOf(prefix));
      }),
    );
  });

  it('is a host without a length', () => {
    expect(parsePrefix('192.0.2.1')).toBe('192.0.2.1/32');
    expect(parsePrefix('2001:db8::1')).toBe('2001:db8::1/128');
    expect(hostPrefix(parseAddress('192.0.2.1') ?? expect.unreachable())).toBe('192.0.2.1/32');
  });

  it('is the same as a range', () => {
    const length = fc.oneof(fc.nat(140).map(String), fc.constantFrom('', '08', '+8', '1.', ' 8', '8 ', '8-9'));
    fc.assert(
      fc.property(familyAndNumber, length, ({ of, number }, text) => {
        const word = `${of === 4 ? addressFrom(number, 4) : long6(number)}/${text}`;
        const prefix = parsePrefix(word);
        const read = parseRange(word);
        expect(read).toEqual(prefix === undefined ? undefined : rangeOf(prefix));
        if (read !== undefined) expect(hasHostBits(word, read)).toBe(number !== read.first);
      }),
    );
    for (const word of [
      '192.0.2.1',
      '2001:DB8::1',
      '::ffff:192.0.2.1',
      '::ffff:0:0/96',
      '::ffff:0:0/97',
      'fe80::1%eth0',
    ])
      expect(parseRange(word), word).toEqual(parsePrefix(word) && rangeOf(parsePrefix(word) ?? expect.unreachable()));
    expect(hasHostBits('192.0.2.1-192.0.2.9', parseRange('192.0.2.1-192.0.2.9') ?? expect.unreachable())).toBe(false);
  });

  it('loses its host bits', () => {
    expect(parsePrefix('192.0.2.77/24')).toBe('192.0.2.0/24');
    expect(parsePrefix('2001:db8::77/64')).toBe('2001:db8::/64');
    expect(parsePrefix('192.0.2.77/0')).toBe('0.0.0.0/0');
    expect(parsePrefix('::1/0')).toBe('::/0');
  });

  it.each([
    '192.0.2.0/33',
    '2001:db8::/129',
    '192.0.2.0/',
    '192.0.2.0/024',
    '192.0.2.0/-1',
    '192.0.2.0/255.255.255.0',
    '/24',
    '192.0.2.0/2 4',
    '192.0.2.0/24/24',
    '192.0.2.0/1e1',
  ])('is not %j', (text) => {
    expect(parsePrefix(text)).toBeUndefined();
  });
});

describe('a range', () => {
  it('is read as it is written', () => {
    fc.assert(
      fc.property(range, (one) => {
        fc.pre(one.family === 4 || (!isMapped(one.first) && !isMapped(one.last)));
        expect(parseRange(formatRange(one))).toEqual(one);
      }),
    );
  });

  it('may have blanks around its hyphen', () => {
    expect(parseRange('192.0.2.1 - 192.0.2.3')).toEqual(parseRange('192.0.2.1-192.0.2.3'));
  });

  it.each([
    '192.0.2.3-192.0.2.1',
    '192.0.2.1-2001:db8::1',
    '192.0.2.1-',
    '-192.0.2.1',
    '192.0.2.1-192.0.2.2-192.0.2.3',
    '192.0.2.0/24-192.0.3.0/24',
    '192.0.2.1-3',
  ])('is not %j', (text) => {
    expect(parseRange(text)).toBeUndefined();
  });

  it('is the fewest prefixes that are not too short', () => {
    fc.assert(
      fc.property(range, fc.nat(128), (one, least) => {
        const shortest = Math.min(least, bits[one.family]);
        fc.pre((one.last - one.first) >> BigInt(bits[one.family] - shortest) < 20n);
        const prefixes = prefixesOf(one, shortest);
        const ranges = prefixes.map(rangeOf);
        expect(mergeRanges(ranges)).toEqual([one]);
        for (const [index, prefix] of prefixes.entries()) {
          const length = prefixLength(prefix);
          expect(length).toBeGreaterThanOrEqual(shortest);
          const next = ranges[index + 1];
          if (length === shortest || next === undefined) continue;
          // One of them and the next would be one prefix.
          const { first, last } = rangeOf(prefixOf(addressNumber(networkOf(prefix)), length - 1, one.family));
          expect(ranges[index]?.first === first && next.last === last).toBe(false);
        }
      }),
    );
  });

  it('overlaps another where some address is in both', () => {
    fc.assert(
      fc.property(range, range, (a, b) => {
        const first = a.first > b.first ? a.first : b.first;
        const last = a.last < b.last ? a.last : b.last;
        expect(rangesOverlap(a, b)).toBe(a.family === b.family && first <= last);
        expect(rangesOverlap(b, a)).toBe(rangesOverlap(a, b));
      }),
    );
  });

  it('is one with those that it meets: merging keeps every address, and leaves gaps between the rest', () => {
    const small = fc.tuple(family, fc.nat(60), fc.nat(6)).map(
      ([of, first, size]): AddressRange => ({
        family: of,
        first: BigInt(first),
        last: BigInt(first + size),
      }),
    );
    const members = (list: readonly AddressRange[]): string[] => {
      const all = list.flatMap(({ family: of, first, last }) =>
        Array.from({ length: Number(last - first) + 1 }, (_, index) => `${of} ${first + BigInt(index)}`),
      );
      return [...new Set(all)].sort();
    };
    fc.assert(
      fc.property(fc.array(small, { maxLength: 12 }), (list) => {
        const merged = mergeRanges(list);
        expect(members(merged)).toEqual(members(list));
        expect(mergeRanges([...list].reverse())).toEqual(merged);
        for (const [index, one] of merged.slice(1).entries()) {
          const before = merged[index] ?? expect.unreachable();
          expect(before.family < one.family || before.last + 1n < one.first).toBe(true);
        }
      }),
    );
  });
});

it('no address of documentation is lost from the list of what is not public', () => {
  expect(NON_PUBLIC[4]).toHaveLength(9);
  // Each of those in IPv6's clothes, by a translator and by 6to4.
  expect(NON_PUBLIC[6]).toHaveLength(8 + 2 * 9);
  expect(NON_PUBLIC[6]).toEqual(expect.arrayContaining(['64:ff9b::a00:0/104', '2002:a00::/24', '64:ff9b::f000:0/100']));
});

it.each([
  ['64:ff9b::a00:5', '10.0.0.5'],
  ['2002:c000:201:1::7', '192.0.2.1'],
  ['64:ff9b:1::a00:5', undefined],
  ['2001:db8::a00:5', undefined],
])('%s leads to %s', (address, carried) => {
  expect(carriedBy(certain(parseAddress(address)))).toBe(carried);
});
