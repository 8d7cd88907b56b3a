/** What is to be brought into the kernel, and what came of it. */
import type { HostNetwork } from '../../policies/host-network.ts';
import type { Prefix } from '../../render/address.ts';
import type { DesiredState } from '../../render/desired.ts';
import type { Routing } from '../../render/routing.ts';
import type { Unread } from '../commands/reading.ts';
import type { Isolated } from './commit-isolated.ts';
import type { LxcProxy } from './foreign-proxies.ts';

export interface ApplyRequest {
  readonly desired: DesiredState;
  readonly network: HostNetwork;
  /** Of all containers; asked for only when proxies are looked at. */
  readonly lxcProxies: () => readonly LxcProxy[];
}

export interface Applied extends Isolated {
  /** Lines that the kernel held otherwise than it should; empty for an ordinary change. */
  readonly repaired: readonly string[];
  /** How many commands and lines were written. */
  readonly written: number;
  /** By NIC key: why the backend can hold nothing of it, and so it gets nothing. */
  readonly unheld: ReadonlyMap<string, string>;
  /** By NIC key: what `ip` said about a route, gateway address or proxy that it refused, with the line. */
  readonly unrouted: ReadonlyMap<string, string>;
  /** Of a change: what `ip` was told to add. */
  readonly brought?: Routing;
  /** Why the comparison is still to be made; what changed is in force. */
  readonly unread: Unread | undefined;
  /** After a start: prefixes that an earlier run gave to interfaces that have them no more. */
  readonly abandoned: readonly Prefix[];
  /** After a start: by NIC key, prefixes of which rules were there that let nobody send from them by that interface. */
  readonly come: ReadonlyMap<string, readonly Prefix[]>;
}

/** Of a change, which looks at nothing else. */
export const NO_COMPARISON = {
  repaired: [],
  abandoned: [],
  come: new Map<string, readonly Prefix[]>(),
  unread: undefined,
};

/** Of a comparison that found all as it should be. */
export const rightApplied = (enforced: DesiredState): Applied => ({
  ...{ ...NO_COMPARISON, enforced, written: 0 },
  ...{ refused: new Map(), unheld: new Map(), unrouted: new Map() },
});

/** Of two in a row. */
export const joinApplied = (first: Applied, second: Applied): Applied => ({
  ...second,
  repaired: [...first.repaired, ...second.repaired],
  written: first.written + second.written,
  unread: first.unread ?? second.unread,
  abandoned: [...first.abandoned, ...second.abandoned],
  come: new Map([...first.come, ...second.come]),
});
