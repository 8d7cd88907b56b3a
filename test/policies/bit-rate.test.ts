import { describe, expect, test } from 'vitest';
import { parseBitRate } from '../../policies/bit-rate.ts';
import { compileText } from './compile-texts.ts';

test.each([
  ['100Mbit', 100_000_000],
  ['1 gbit', 1_000_000_000],
  ['2.5gbit', 2_500_000_000],
  ['8kbit', 8_000],
  ['9999bit', 9_992],
  ['1mibit', 1_048_576],
  ['1mbps', 8_000_000],
  ['10KiBps', 81_920],
  ['100gbit', 100_000_000_000],
])('%s is %d bits a second', (text, rate) => expect(parseBitRate(text)).toBe(rate));

describe('each NIC has the limits of its policy', () => {
  const limits = (text: string) => {
    const { ok, problems, ...compiled } = compileText(text);
    expect(problems).toEqual([]);
    return [compiled.default, ...compiled.interfaces.values()].map((nic) => [
      nic.limits?.egress?.rate,
      nic.limits?.ingress?.rate,
    ]);
  };
  test('none where it says nothing', () => expect(limits('egress: {}')).toEqual([[undefined, undefined]]));
  test('one direction or both', () => {
    expect(limits('limits: { egress: 20mbit }')).toEqual([[20e6, undefined]]);
    expect(limits('limits: { egress: 20mbit, ingress: 1gbit }')).toEqual([[20e6, 1e9]]);
  });
  test('its own, direction by direction', () => {
    const text = 'limits: { egress: 20mbit, ingress: 1gbit }\ninterfaces: { eth1: { limits: { egress: 5mbit } } }';
    expect(limits(text)).toEqual([
      [20e6, 1e9],
      [5e6, 1e9],
    ]);
  });
});
