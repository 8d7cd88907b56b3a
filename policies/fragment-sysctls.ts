/** The host's room for fragments that aren't a whole packet yet, which all share: more of it, and for a shorter time. */
import type { Family } from '../render/address.ts';
import type { Sysctl } from '../render/desired.ts';

/**
 * The kernel's 4 MiB hold some 1,700 of them, for half a minute and more. A packet is whole in some milliseconds, or never.
 * One interface may have sent 6,000 by default that are not forgotten yet, which take a quarter of it.
 */
const SETTINGS: Readonly<Record<Family, readonly Sysctl[]>> = {
  4: settings('net/ipv4/ipfrag_time', '30', 'net/ipv4/ipfrag_high_thresh'),
  6: settings('net/netfilter/nf_conntrack_frag6_timeout', '60', 'net/netfilter/nf_conntrack_frag6_high_thresh'),
};

function settings(time: string, seconds: string, room: string): Sysctl[] {
  return [
    { key: time, value: '2', replaces: seconds, reason: 'forgets what never becomes a whole packet' },
    { key: room, value: '67108864', replaces: '4194304', reason: 'has room for the fragments of all containers' },
  ];
}

/** Only what the kernel begins with is replaced: any other value is the administrator's. */
export const fragmentSysctls = (families: ReadonlySet<Family>): Sysctl[] =>
  [...families].flatMap((family) => SETTINGS[family]);
