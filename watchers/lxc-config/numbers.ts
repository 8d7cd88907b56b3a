/** Numbers and addresses as LXC reads them: C's strtoul with base 0, and inet_pton. */
import { isIPv4, isIPv6 } from 'node:net';

const UNSIGNED = /^[ \t\n\v\f\r]*\+?(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$/;
const SIGNED = /^[ \t\n\v\f\r]*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$/;

/** `0x18` and `030` are 24; `undefined` for anything but a number up to 4294967295. */
export function parseUnsigned(text: string): number | undefined {
  const digits = UNSIGNED.exec(text)?.[1];
  if (digits === undefined) return undefined;
  const number = numberOf(digits);
  return number <= 0xffffffff ? number : undefined;
}

/** A 32-bit signed number in the same notations. */
export function parseSigned(text: string): number | undefined {
  const match = SIGNED.exec(text);
  const digits = match?.[2];
  if (digits === undefined) return undefined;
  const number = match?.[1] === '-' ? -numberOf(digits) : numberOf(digits);
  return number >= -0x80000000 && number <= 0x7fffffff ? number : undefined;
}

const numberOf = (digits: string): number => (/^0[0-7]/.test(digits) ? Number.parseInt(digits, 8) : Number(digits));

export const isAddress4 = (text: string): boolean => isIPv4(text);

/** inet_pton knows no zones, Node does. */
export const isAddress6 = (text: string): boolean => isIPv6(text) && !text.includes('%');
