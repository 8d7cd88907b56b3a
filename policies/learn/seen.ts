/** What learning starts from: packets that a container's policy refused, or would have. */
import type { Address } from '../../render/address.ts';
import type { Direction } from '../../render/rule.ts';

export interface Seen {
  readonly direction: Direction;
  /** The key of the container's endpoint. */
  readonly key: string;
  readonly peer: Address;
  /** The IP protocol's number. */
  readonly protocol: number;
  /** As the ruleset counts it; see SeenService. */
  readonly port: number;
  readonly packets: number;
  /** Milliseconds since 1970. */
  readonly lastSeen: number;
}

/** What learning doesn't propose, and why. */
export interface LeftOut {
  readonly seen: Seen;
  readonly reason: string;
}
