import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Claim, findContested, refuseClaims as judge } from '../../policies/claims.ts';
import { type Prefix, parsePrefix, rangeOf, rangesOverlap } from '../../render/address.ts';

const prefix = (text: string): Prefix => parsePrefix(text) ?? expect.unreachable();
const claim = (name: string, text: string, index = 0): Claim => ({
  key: `/var/lib/lxc/${name}/${index}`,
  container: name,
  prefix: prefix(text),
});
const nobody = (): boolean => false;
const none: ReadonlySet<string> = new Set();
const refuseClaims = (claims: readonly Claim[], ...rest: [(claim: Claim) => boolean, ReadonlySet<string>]) =>
  judge(findContested(claims), ...rest);
const losers = (...args: Parameters<typeof refuseClaims>): string[] =>
  refuseClaims(...args).map(({ container, prefix: lost, owner }) => `${container} loses ${lost} to ${owner}`);

const a = claim('a', '192.0.2.10/32');
const b = claim('b', '192.0.2.10/32');

describe('two containers that claim one address', () => {
  it('neither holds it nor runs: the first by name gets it', () => {
    expect(losers([b, a], nobody, none)).toEqual(['b loses 192.0.2.10/32 to a']);
  });

  it('one runs: it gets it', () => {
    expect(losers([a, b], nobody, new Set([b.key]))).toEqual(['a loses 192.0.2.10/32 to b']);
  });

  it('one holds it: it keeps it, whoever else runs', () => {
    const holds = ({ key }: Claim): boolean => key === b.key;
    expect(losers([a, b], holds, new Set([a.key, b.key]))).toEqual(['a loses 192.0.2.10/32 to b']);
  });
});

it('tells of a prefix that holds another, in either family', () => {
  expect(losers([claim('a', '192.0.2.10/32'), claim('b', '192.0.2.8/29')], nobody, none)).toEqual([
    'b loses 192.0.2.8/29 to a',
  ]);
  expect(losers([claim('a', '2001:db8::/48'), claim('b', '2001:db8:0:7::/64')], nobody, none)).toEqual([
    'b loses 2001:db8:0:7::/64 to a',
  ]);
});

it('lets a NIC repeat itself, and no other NIC of its container', () => {
  expect(refuseClaims([claim('a', '192.0.2.10/32'), claim('a', '192.0.2.8/29')], nobody, none)).toEqual([]);
  expect(losers([claim('a', '192.0.2.10/32', 0), claim('a', '192.0.2.10/32', 1)], nobody, none)).toEqual([
    'a loses 192.0.2.10/32 to a',
  ]);
});

it('gives what a loser would have kept from a third to the third', () => {
  // c's wide prefix loses to a; b overlaps c only, and is not affected.
  const claims = [claim('a', '192.0.2.1/32'), claim('b', '192.0.2.7/32'), claim('c', '192.0.2.0/29')];
  expect(losers(claims, nobody, none)).toEqual(['c loses 192.0.2.0/29 to a']);
  const wide = ({ container }: Claim): boolean => container === 'c';
  expect(losers(claims, wide, none)).toEqual(['a loses 192.0.2.1/32 to c', 'b loses 192.0.2.7/32 to c']);
});

it('finds the same among single addresses as beside a prefix', () => {
  const single = fc.constantFrom('192.0.2.1/32', '192.0.2.5/32', '192.0.2.9/32', '2001:db8::1/128');
  const some = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), single, fc.nat(1)), { maxLength: 10 });
  const elsewhere = claim('far', '198.51.100.0/24');
  const told = (claims: readonly Claim[]): string[] =>
    findContested(claims)
      .map(({ key, prefix: of }) => `${key} ${of}`)
      .sort();
  fc.assert(
    fc.property(some, (list) => {
      const claims = list.map(([name, text, index]) => claim(name, text, index));
      expect(told(claims)).toEqual(told([...claims, elsewhere]));
    }),
  );
});

describe('any claims', () => {
  const prefixes = fc.constantFrom(
    ...['192.0.2.0/29', '192.0.2.1/32', '192.0.2.4/30', '192.0.2.5/32', '2001:db8::/64', '2001:db8::1/128'],
  );
  const claims = fc.uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), prefixes, fc.nat(1)), {
    selector: (entry) => entry.join(),
    maxLength: 12,
  });
  const world = claims.chain((list) => {
    const all = list.map(([name, text, index]) => claim(name, text, index));
    return fc.record({
      all: fc.constant(all),
      shuffled: fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length }),
      held: fc.subarray(all),
      running: fc.subarray(all.map(({ key }) => key)),
    });
  });
  const identity = ({ key, prefix: of }: Claim): string => `${key} ${of}`;

  it('end without two NICs that own the same address, and with as few losers as that takes', () => {
    fc.assert(
      fc.property(world, ({ all, held, running }) => {
        const holds = (one: Claim): boolean => held.includes(one);
        const lost = new Set(refuseClaims(all, holds, new Set(running)).map(identity));
        const won = all.filter((one) => !lost.has(identity(one)));
        const clash = (x: Claim, y: Claim): boolean =>
          x.key !== y.key && rangesOverlap(rangeOf(x.prefix), rangeOf(y.prefix));
        expect(won.filter((one) => won.some((other) => clash(one, other)))).toEqual([]);
        for (const one of all) if (lost.has(identity(one))) expect(won.some((other) => clash(one, other))).toBe(true);
      }),
    );
  });

  it('end the same in whatever order they are told', () => {
    fc.assert(
      fc.property(world, ({ all, shuffled, held, running }) => {
        const keys = new Set(held.map(identity));
        const holds = (one: Claim): boolean => keys.has(identity(one));
        expect(refuseClaims(shuffled, holds, new Set(running))).toEqual(refuseClaims(all, holds, new Set(running)));
      }),
    );
  });

  it('are settled: who won and holds wins again, whatever starts', () => {
    fc.assert(
      fc.property(world, ({ all, held, running }) => {
        const first = new Set(refuseClaims(all, (one) => held.includes(one), new Set(running)).map(identity));
        const holds = (one: Claim): boolean => !first.has(identity(one));
        const again = refuseClaims(all, holds, new Set(all.map(({ key }) => key))).map(identity);
        expect(new Set(again)).toEqual(first);
      }),
    );
  });
});
