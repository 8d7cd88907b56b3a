/** Peer words of a policy, such as `container:builder` or `192.0.2.0/24`, before any name is looked up. */
import { type AddressRange, formatRange, hasHostBits, parseRange } from '../render/address.ts';
import { type DnsName, parseDnsName } from '../render/dns-name.ts';
import { addressHint } from './address-mistake.ts';
import { closestWord } from './suggest.ts';
import { listOf } from './type-hints.ts';

export type PeerWord =
  | { readonly kind: 'any' | 'host' | 'lan' | 'internet' }
  | { readonly kind: 'container' | 'group' | 'set'; readonly name: string }
  | { readonly kind: 'dns'; readonly name: DnsName }
  | { readonly kind: 'range'; readonly range: AddressRange; readonly warning?: string }
  | { readonly kind: 'error'; readonly message: string };

const words = ['any', 'host', 'lan', 'internet'] as const;
const prefixes = ['container', 'group', 'set'] as const;

export function parsePeerWord(text: string): PeerWord {
  const word = words.find((candidate) => candidate === text);
  if (word !== undefined) return { kind: word };
  const colon = text.indexOf(':');
  const prefix = prefixes.find((candidate) => candidate === text.slice(0, colon));
  if (prefix !== undefined) {
    const name = text.slice(colon + 1);
    return name === '' ? error(`"${text}" names nothing: write ${prefix}:NAME`) : { kind: prefix, name };
  }
  if (text.startsWith('dns:')) return dnsWord(text);
  const range = parseRange(text);
  return range === undefined ? error(peerMistake(text)) : rangeWord(text, range);
}

function dnsWord(text: string): PeerWord {
  const written = text.slice('dns:'.length);
  const name = parseDnsName(written);
  if (name !== undefined) return { kind: 'dns', name };
  if (written === '') return error(`"${text}" names nothing: write dns:NAME`);
  if (parseRange(written) !== undefined) return error(`"${text}" is an address: write it without dns:`);
  if (written.includes('*')) return error(`"${text}": a wildcard has no addresses: write each name`);
  return error(`"${text}" is no DNS name: write it as in dns:deb.debian.org`);
}

const error = (message: string): PeerWord => ({ kind: 'error', message });

function rangeWord(text: string, range: AddressRange): PeerWord {
  const warning = hostBitsWarning(text, range);
  return { kind: 'range', range, ...(warning === undefined ? {} : { warning }) };
}

/** `192.0.2.1/24` may mean the address or the network; it reads as the network, and says so. */
export function hostBitsWarning(text: string, range: AddressRange): string | undefined {
  if (!hasHostBits(text, range)) return undefined;
  return `"${text}" has host bits: it reads as ${formatRange(range)}`;
}

function peerMistake(text: string): string {
  const colon = text.indexOf(':');
  if (/^[0-9.]+(\/.*)?$|^[0-9a-f:]*:[0-9a-f:.]*([/%].*)?$/i.test(text))
    return `"${text}" is no address or prefix${addressHint(text)}`;
  if (/^[0-9a-f:.]+\s*-\s*[0-9a-f:.]+$/i.test(text)) {
    return `"${text}" is no range: write FIRST-LAST, two addresses of one family, the lower one first`;
  }
  if (colon > 0) {
    const near = closestWord(text.slice(0, colon), [...prefixes, 'dns']);
    if (near !== undefined) return `"${text}" is no peer: did you mean "${near}${text.slice(colon)}"?`;
  }
  if (/^\S+(\s*,\s*\S+)+$/.test(text) && !/^[0-9.]+$/.test(text))
    return `"${text}" is no peer: did you mean ${listOf(text)}?`;
  if (text.includes('.') && parseDnsName(text) !== undefined)
    return `"${text}" is no peer: did you mean "dns:${text}"?`;
  const near = closestWord(text, words);
  if (near !== undefined) return `"${text}" is no peer: did you mean "${near}"?`;
  return `"${text}" is no peer: write any, host, lan, internet, container:NAME, group:NAME, set:NAME, dns:NAME or an address`;
}
