/** Names as iptables and ipset take them: chains of at most 28 characters, sets of 31. */
import { createHash } from 'node:crypto';
import type { Family } from '../address.ts';
import type { InterfaceName } from '../names.ts';
import type { Direction } from '../rule.ts';
import { OURS } from './xt-ruleset.ts';

/** What chains, sets and arptables take as it is. Of other interfaces only that they get nothing can be said. */
export const isNameable = (name: InterfaceName): boolean => /^[A-Za-z0-9_][A-Za-z0-9_.@=-]*$/.test(name);

/** To iptables, a `+` at the end means all that begin so; ipset takes it, but no comma. */
export const isWildcard = (name: InterfaceName): boolean => name.endsWith('+') && !name.includes(',');

export const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 12);

/** The chain of a policy; `hash` as nft's chains bear it. */
export const policyChainName = (direction: Direction, hash: string): string =>
  `${OURS}${direction === 'egress' ? 'E' : 'I'}-${hash.slice(0, 16)}`;

export const nicChainName = (veth: InterfaceName): string => `${OURS}C-${veth}`;
/** What is related to a flow that it has no part in doesn't pass. */
export const relatedChainName = (veth: InterfaceName): string => `${OURS}R-${veth}`;
/** Its solicitations, by which this host learns of neighbours. */
export const solicitChainName = (veth: InterfaceName): string => `${OURS}N-${veth}`;

export const OWNED_SET: Readonly<Record<Family, string>> = { 4: `${OURS}owned4`, 6: `${OURS}owned6` };
/** Containers' own addresses, and prefixes behind them. */
export const HELD_SET: Readonly<Record<Family, string>> = { 4: `${OURS}held4`, 6: `${OURS}held6` };
export const HELD_NET_SET: Readonly<Record<Family, string>> = { 4: `${OURS}heldnet4`, 6: `${OURS}heldnet6` };
export const LAN_SET: Readonly<Record<Family, string>> = { 4: `${OURS}lan4`, 6: `${OURS}lan6` };
export const NON_PUBLIC_SET: Readonly<Record<Family, string>> = { 4: `${OURS}nonpublic4`, 6: `${OURS}nonpublic6` };
/** Interfaces that iptables can't name without meaning others too: nothing passes them. */
export const SHUT_SET: Readonly<Record<Family, string>> = { 4: `${OURS}shut4`, 6: `${OURS}shut6` };

export const peersSetName = (family: Family, hash: string): string => `${OURS}peers${family}-${hash}`;
export const dnsSetName = (family: Family, hash: string): string => `${OURS}dns${family}-${hash}`;
