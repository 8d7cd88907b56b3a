/** `100Mbit` of `limits:`, as tc reads it. */

const FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
};

/** Below, one full frame takes seconds; above, tc's arithmetic of 64 ns steps is too coarse. */
const LEAST = 8000;
const MOST = 100e9;

/** Bits a second, a multiple of 8, since the kernel counts bytes; or what is wrong with the text. */
export function parseBitRate(text: string): number | string {
  const [, number = '', prefix = '', unit = ''] = /^(\d+(?:\.\d+)?) ?([kmg]i?)?(bit|bps)$/i.exec(text.trim()) ?? [];
  const factor = FACTORS[prefix.toLowerCase()];
  if (number === '' || factor === undefined) return `"${text}" is no rate: write a number and a unit, such as 100mbit`;
  const bytes = Math.floor((Number(number) * factor) / (unit.toLowerCase() === 'bit' ? 8 : 1));
  if (bytes * 8 < LEAST) return `"${text}" is less than 8kbit, the least that can be held`;
  if (bytes * 8 > MOST) return `"${text}" is more than 100gbit: leave the limit out`;
  return bytes * 8;
}
