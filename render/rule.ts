/** The nouns of a policy after compilation: what a chain matches and decides, before it is nft's text. */
import type { AddressRange, Family } from './address.ts';
import type { DnsName } from './dns-name.ts';

/** egress: from the container; ingress: to it. */
export type Direction = 'egress' | 'ingress';

/**
 * The place in a user's file that a rule comes from; `line` and `column` count from 1. `file` is relative to the policy
 * folder. No `column`: read back from the kernel.
 */
export interface Origin {
  readonly file: string;
  readonly line: number;
  readonly column?: number;
}

/** The far end of a flow: its destination in egress, its source in ingress. */
export type PeerMatch =
  | { readonly kind: 'any' }
  /** Any address of this host, as the kernel's routing knows them at that moment. */
  | { readonly kind: 'host' }
  /** The on-link prefixes of the uplinks (sets lan4 and lan6). */
  | { readonly kind: 'lan' }
  /** Neither host, lan, a container here, nor a non-public address. */
  | { readonly kind: 'internet' }
  /** What the name stands for at that moment, both families (sets dns4_<hash> and dns6_<hash>); nothing before its first answer. */
  | { readonly kind: 'dns'; readonly name: DnsName }
  /** Merged, sorted, all of one family; an empty list matches nothing. */
  | { readonly kind: 'ranges'; readonly family: Family; readonly ranges: readonly AddressRange[] };

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

export type ServiceMatch =
  | { readonly kind: 'any' }
  /** An IP protocol number, whatever its ports. */
  | { readonly kind: 'protocol'; readonly protocol: number }
  /** Destination ports; `protocol` is 6 (TCP), 17 (UDP) or 132 (SCTP). Merged and sorted. */
  | { readonly kind: 'ports'; readonly protocol: 6 | 17 | 132; readonly ports: readonly PortRange[] }
  /** No `type`: every type but the error messages, which pass only with the flow that they are about. */
  | { readonly kind: 'icmp'; readonly family: Family; readonly type?: number };

export type Verdict = 'allow' | 'drop' | 'reject';

/** New flows beyond it are dropped; `burst` of them may come at once after a quiet time. */
export interface RateLimit {
  readonly flows: number;
  readonly per: 'second' | 'minute' | 'hour' | 'day';
  readonly burst: number;
  /** Lower-case hex, the same in all alternatives of one rule of a file: they count together. */
  readonly shared: string;
}

/** One line of a compiled chain. `log` as the action notes the packet and goes on to the next rule. */
export interface Rule {
  /** Restricts the rule where neither peer nor service has a family of its own. */
  readonly family?: Family;
  readonly peer: PeerMatch;
  readonly service: ServiceMatch;
  readonly action: Verdict | 'log';
  /** Note the packet besides deciding it. */
  readonly log: boolean;
  /** Only beside `allow`. */
  readonly limit?: RateLimit;
  /** From this moment on the rule matches nothing, in seconds since 1970. */
  readonly until?: number;
  readonly origin: Origin;
  /** The user's own `name` of the rule, for explanations. */
  readonly name?: string;
}

/** Whose a chain is that others must not share: its log lines name the container, its limits count for it alone. */
export interface ChainOwner {
  /** The container's name. */
  readonly container: string;
  /** Tells it from one of the same name in another LXC folder. */
  readonly id: string;
  /** Where the rules are those of one NIC. */
  readonly nic?: string;
}

/** One direction of one policy. First match wins, then the default. */
export interface PolicyChain {
  readonly direction: Direction;
  readonly rules: readonly Rule[];
  readonly default: {
    readonly verdict: Verdict;
    readonly log: boolean;
    /** `null`: the built-in default, which no file states. */
    readonly origin: Origin | null;
  };
  /** Present only where something logs or is limited. */
  readonly owner?: ChainOwner;
  /** Before this moment, in seconds since 1970, what it refuses passes and is recorded. */
  readonly observe?: { readonly until: number; readonly origin: Origin };
}
