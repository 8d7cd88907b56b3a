import { describe, expect, it } from 'vitest';
import { isAddress4, isAddress6, parseSigned, parseUnsigned } from '../../../watchers/lxc-config/numbers.ts';

describe('numbers in a configuration', () => {
  it.each([
    ['24', 24],
    ['0x18', 24],
    ['0X18', 24],
    ['030', 24],
    ['+24', 24],
    ['\t 24', 24],
    ['0', 0],
    ['4294967295', 4294967295],
    ['4294967296', undefined],
    ['08', undefined],
    ['0x', undefined],
    ['-1', undefined],
    ['24 ', undefined],
    ['1e1', undefined],
    ['', undefined],
  ])('%j is %s', (text, number) => {
    expect(parseUnsigned(text)).toBe(number);
  });

  it.each([
    ['-5', -5],
    ['-0x10', -16],
    ['2147483647', 2147483647],
    ['2147483648', undefined],
    ['-2147483648', -2147483648],
  ])('%j with a sign is %s', (text, number) => {
    expect(parseSigned(text)).toBe(number);
  });
});

describe('addresses in a configuration', () => {
  it.each(['192.0.2.01', '192.0.2', '0xc0000201', '192.0.2.1 ', '192.0.2.256', '', '2001:db8::1'])(
    '%j is no IPv4 address',
    (text) => {
      expect(isAddress4(text)).toBe(false);
    },
  );
  it.each(['fe80::1%eth0', '2001:db8::00001', '1:2:3:4:5:6:7:8:9', '1::2::3', '[::1]', '::192.0.2.01'])(
    '%j is no IPv6 address',
    (text) => {
      expect(isAddress6(text)).toBe(false);
    },
  );
  it.each(['::', '::ffff:192.0.2.1', '2001:DB8::1', '1:2:3:4:5:6:7::'])('%j is an IPv6 address', (text) => {
    expect(isAddress6(text)).toBe(true);
  });
});
