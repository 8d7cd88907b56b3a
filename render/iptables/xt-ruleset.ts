/** The nouns of iptables, ipset and arptables as far as they are ours: chains by table, sets, and the jumps that lead in. */
import type { Family } from '../address.ts';

export const FAMILIES: readonly Family[] = [4, 6];

export type XtTableName = 'raw' | 'filter';

export interface XtTable {
  /** By chain of the kernel's own: our jumps in it, which stand first, in this order. */
  readonly jumps: ReadonlyMap<string, readonly string[]>;
  /** Our chains; rules without `-A CHAIN`. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
}

export type XtSetType = 'hash:net' | 'hash:net,iface';

export interface XtSet {
  readonly type: XtSetType;
  readonly family: Family;
  /** owned: single elements come after all rules and go before them; whole: replaced by a swap. */
  readonly kind: 'owned' | 'whole';
  /** What `create` says behind the family. */
  readonly options: string;
  readonly elements: ReadonlySet<string>;
}

export interface XtFamily {
  readonly tables: ReadonlyMap<XtTableName, XtTable>;
}

export interface XtRuleset {
  readonly sets: ReadonlyMap<string, XtSet>;
  readonly families: ReadonlyMap<Family, XtFamily>;
  /** Rules of our only chain in arptables, `RW-ARP`. */
  readonly arp: ReadonlySet<string>;
}

/** What all our chains and sets begin with, and nobody else's. */
export const OURS = 'RW-';

export const EMPTY_XT: XtRuleset = { sets: new Map(), families: new Map(), arp: new Set() };
