/** Names that reach a command's text: branded, and made only by the functions here. */

/** A network interface's name that neither nft nor ip can read as anything else. */
export type InterfaceName = string & { readonly __brand: 'InterfaceName' };
/** An interface name, or its beginning followed by `*`. */
export type InterfacePattern = string & { readonly __brand: 'InterfacePattern' };
export type ChainName = string & { readonly __brand: 'ChainName' };
export type SetName = string & { readonly __brand: 'SetName' };

/** What the kernel takes (no slash, colon or blank, at most 15 bytes) less what nft's or ip's quoting can't carry. */
const INTERFACE = /^[!$%&()+,.0-9;<=>?@A-Z[\]^_`a-z{|}~-]{1,15}$/;

/** Below /proc/sys/net these mean all interfaces and future ones; the kernel gives an interface so named no IPv4. */
const RESERVED = new Set(['.', '..', 'all', 'default']);

/** Always quoted in nft; in `ip` always the word after `dev`. */
export function parseInterfaceName(text: string): InterfaceName | undefined {
  return INTERFACE.test(text) && !RESERVED.has(text) ? (text as InterfaceName) : undefined;
}

export function parseInterfacePattern(text: string): InterfacePattern | undefined {
  const stem = text.endsWith('*') ? text.slice(0, -1) : text;
  return parseInterfaceName(stem) === undefined ? undefined : (text as InterfacePattern);
}

export function matchesPattern(name: string, pattern: InterfacePattern): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

export const matchesAny = (name: string, patterns: readonly InterfacePattern[]): boolean =>
  patterns.some((pattern) => matchesPattern(name, pattern));

/** The ifb that a container's egress takes its way over where it is limited: by the host-side veth's name, which may be as long. */
export function limiterName(veth: InterfaceName): InterfaceName {
  let hash = 0xcbf29ce484222325n;
  for (const letter of veth) hash = BigInt.asUintN(64, (hash ^ BigInt(letter.charCodeAt(0))) * 0x100000001b3n);
  return `rwl-${hash.toString(16).padStart(16, '0').slice(-10)}` as InterfaceName;
}

export const isLimiterName = (name: string): boolean => /^rwl-[0-9a-f]{10}$/.test(name);

/** `egress_<hash>`: always prefixed, since words such as `fwd` or `log` alone are nft keywords. */
export const chainName = (direction: 'egress' | 'ingress', hash: string): ChainName =>
  `${direction}_${hexOnly(hash)}` as ChainName;

type SetKind = 'peers4' | 'peers6' | 'ports' | 'dns4' | 'dns6' | 'limit' | 'log';

export const setName = (kind: SetKind, hash: string): SetName => `${kind}_${hexOnly(hash)}` as SetName;

function hexOnly(hash: string): string {
  if (!/^[0-9a-f]{8,64}$/.test(hash)) throw new TypeError(`not a hash: ${JSON.stringify(hash)}`);
  return hash;
}

/** Text for an nft comment: at most 128 bytes, and nothing that could end the quoted string. */
export const commentText = (text: string): string => quotable(text).slice(0, 128);

/** Text for an nft log prefix: at most 127 bytes; a trailing blank is the caller's. */
export const logPrefixText = (text: string): string => quotable(text).slice(0, 127);

const quotable = (text: string): string => text.replace(/[^A-Za-z0-9 ._:,/@+=()[\]-]/g, '?');
