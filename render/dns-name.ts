/** Names that policies mean by `dns:`, whose addresses the host's resolver tells: branded, made only by the parser here. */
import { domainToASCII } from 'node:url';
import type { Address } from './address.ts';

/** Lower-case letters, digits, hyphens, underscores and dots, at most 253 of them; no dot at the end. */
export type DnsName = string & { readonly __brand: 'DnsName' };

/** What each name stands for now; one that is missing stands for nothing. Sorted, so that equal answers are equal lists. */
export type DnsAddresses = ReadonlyMap<DnsName, readonly Address[]>;

export const NO_NAMES: DnsAddresses = new Map();

const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/** Takes names with other letters too (IDNA), and one dot at the end; `undefined` for an address and for wildcards. */
export function parseDnsName(text: string): DnsName | undefined {
  // The conversion would decode %2e and the like, as in a URL.
  if (/[\s%/@:#?[\]\\*]/.test(text)) return undefined;
  const ascii = /^[\x20-\x7e]*$/.test(text) ? text.toLowerCase() : domainToASCII(text);
  const name = ascii.replace(/\.$/, '');
  const labels = name.split('.');
  const isAddress = /^\d+$/.test(labels.at(-1) ?? '');
  return name.length <= 253 && !isAddress && labels.every((label) => LABEL.test(label)) ? (name as DnsName) : undefined;
}
