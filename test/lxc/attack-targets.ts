/** Whom a hostile container aims at, and the beginnings of its frames. */
import type { Attack } from './hostile.ts';

export const HOST = ['192.0.2.1', '2001:db8:0:1::1'] as const;
export const ALICE = ['198.51.100.10', '2001:db8:100::10'] as const;
export const INTERNET = ['203.0.113.80', '2001:db8:ffff::80'] as const;

const TARGETS = { host: HOST, sibling: ALICE, internet: INTERNET };
type TargetName = keyof typeof TARGETS;

/** The same to each kind of target; `to` is the target's address in Python's quotes. */
export const each = (
  name: string,
  family: 4 | 6,
  frames: (to: string) => string,
  labels: readonly TargetName[] = ['host', 'sibling', 'internet'],
): Attack[] =>
  labels.map((label) => [`${name} to ${label} IPv${family}`, frames(`"${TARGETS[label][family === 4 ? 0 : 1]}"`)]);

export const ip = (to: string, from = 'ME4'): string => `E/IP(src=${from}, dst=${to})`;
export const ip6 = (to: string, from = 'ME6'): string => `E/IPv6(src=${from}, dst=${to})`;
