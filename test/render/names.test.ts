import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  chainName,
  commentText,
  logPrefixText,
  matchesPattern,
  parseInterfaceName,
  parseInterfacePattern,
  setName,
} from '../../render/names.ts';
import { pattern } from './random-desired.ts';

const anyText = fc.oneof(fc.string({ maxLength: 20 }), fc.string({ unit: 'binary', maxLength: 20 }));

describe('an interface name', () => {
  it.each([
    'eth0',
    'vethAbC123',
    'fwd',
    'log',
    'a;b',
    '$x',
    '{',
    '}',
    '-v',
    '--',
    '!&',
    '...',
    'a.b',
    '~[]|<>`^',
    '0',
    'lo',
  ])('may be %j', (text) => {
    expect(parseInterfaceName(text)).toBe(text);
  });

  it.each([
    '',
    '.',
    '..',
    'all',
    'default',
    'a b',
    'a\tb',
    'a\n',
    'a/b',
    'a:b',
    'a"b',
    "a'b",
    'a\\',
    'a*',
    '*',
    'a#b',
    '0123456789abcdef',
    'müll',
    'a\0b',
    '\u00a0',
  ])('is refused as %j', (text) => {
    expect(parseInterfaceName(text)).toBeUndefined();
  });

  it('can neither end a quoted string of nft, nor be two words of ip, nor another file of /proc/sys', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const name = parseInterfaceName(text);
        if (name === undefined) return;
        expect(name).toBe(text);
        expect(name).toMatch(/^[^\s"'\\*#/:\p{C}]{1,15}$/u);
        expect(Buffer.byteLength(name)).toBeLessThanOrEqual(15);
        expect(['.', '..', 'all', 'default']).not.toContain(name);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('an interface pattern', () => {
  it.each(['veth*', 'a;b*', 'eth0', '$*'])('may be %j', (text) => {
    expect(parseInterfacePattern(text)).toBe(text);
  });

  it.each(['*', '', 've*th', 'veth**', 've"th*', 'veth *', '..*', '0123456789abcdef*'])('is refused as %j', (text) => {
    expect(parseInterfacePattern(text)).toBeUndefined();
  });

  it('matches what begins with it, or is it', () => {
    expect(matchesPattern('veth1', pattern('veth*'))).toBe(true);
    expect(matchesPattern('veth', pattern('veth*'))).toBe(true);
    expect(matchesPattern('vet', pattern('veth*'))).toBe(false);
    expect(matchesPattern('eth0', pattern('eth0'))).toBe(true);
    expect(matchesPattern('eth01', pattern('eth0'))).toBe(false);
  });
});

describe('names of chains and sets', () => {
  it('are prefixed hashes', () => {
    expect(chainName('egress', '0123456789abcdef')).toBe('egress_0123456789abcdef');
    expect(setName('peers4', '01234567')).toBe('peers4_01234567');
  });

  it.each(['', '0123456', 'ABCDEF01', '0123456g', '01234567 ', '01234567;', 'x'.repeat(65)])('refuse %j', (hash) => {
    expect(() => chainName('ingress', hash)).toThrow(TypeError);
    expect(() => setName('ports', hash)).toThrow(TypeError);
  });
});

describe('texts for people', () => {
  it('never end the quoted string that they stand in, and fit', () => {
    fc.assert(
      fc.property(fc.oneof(anyText, fc.string({ unit: 'binary', minLength: 100, maxLength: 300 })), (text) => {
        for (const [made, most] of [
          [commentText(text), 128],
          [logPrefixText(text), 127],
        ] as const) {
          expect(made).toMatch(/^[A-Za-z0-9 ._:,/@+=()[\]?-]*$/);
          expect(Buffer.byteLength(made)).toBeLessThanOrEqual(most);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('keep what is harmless', () => {
    expect(commentText('profiles/base.yaml:12')).toBe('profiles/base.yaml:12');
    expect(logPrefixText('a"b\n$x;{}\\')).toBe('a?b??x????');
  });
});
