/** What counts over time: limits and logs, by tables of xt_hashlimit, which keep their count when rules are written anew. */
import type { HostState } from '../desired.ts';
import { logPrefixText } from '../names.ts';
import type { Origin, PolicyChain, RateLimit } from '../rule.ts';
import { hashOf } from './xt-names.ts';

/** The most that xt_hashlimit takes, of either. */
const MOST = 1_000_000;

const clamped = (rate: string): string => {
  const [number = '', unit = ''] = rate.split('/');
  return `${Math.min(Number(number), MOST)}/${unit}`;
};

/** `counted`: what tells this count from all others. A table keeps the rate that it was made with, so that names it too. */
const tableName = (kind: 'above' | 'upto', rate: string, burst: number, counted: readonly unknown[]): string =>
  `RW${hashOf(JSON.stringify([...counted.map((part) => part ?? ''), kind, rate, burst]))}`;

const SECONDS: ReadonlyMap<string, number> = new Map([
  ['second', 1],
  ['minute', 60],
  ['hour', 3600],
  ['day', 86_400],
]);
const DAY = 86_400_000_000;

/** Millionths of a second between two of `20/second`. */
function gapOf(rate: string): number {
  const [number = '', unit = ''] = clamped(rate).split('/');
  return Math.floor(((SECONDS.get(unit) ?? 1) * 1_000_000) / Number(number));
}

/**
 * xt_hashlimit multiplies in 64 bits. Where all that may come at once is worth more than a day, it refuses the rule or,
 * as the host's HZ has it, takes a smaller burst without a word; up to a day every kernel is right.
 */
const mostAtOnce = (rate: string): number => Math.min(MOST, Math.floor(DAY / gapOf(rate)));

function limitMatch(kind: 'above' | 'upto', rate: string, burst: number, counted: readonly unknown[]): string {
  const name = tableName(kind, rate, burst, counted);
  return `-m hashlimit --hashlimit-${kind} ${clamped(rate)} --hashlimit-burst ${Math.min(burst, mostAtOnce(rate))} --hashlimit-name ${name}`;
}

/** Matches what is too much. */
export const over = (rate: string, burst: number, counted: readonly unknown[]): string =>
  limitMatch('above', rate, burst, counted);

/** What counts the flows of a rule: the same in all alternatives of one rule of a file. */
const countedBy = ({ owner, direction }: PolicyChain, { shared }: RateLimit): readonly unknown[] => [
  ...[owner?.id, owner?.nic, direction, shared],
];

/** `20/second` */
const rateOf = ({ flows, per }: Pick<RateLimit, 'flows' | 'per'>): string => `${flows}/${per}`;

/** Why the limit can't be counted; `undefined` where it can. Of more than a million, the whole million is near enough. */
export function uncountable(limit: Pick<RateLimit, 'flows' | 'per' | 'burst'>): string | undefined {
  const rate = rateOf(limit);
  const most = mostAtOnce(rate);
  if (most === MOST || limit.burst <= most) return undefined;
  return `iptables counts back one day at most, and so not ${limit.burst} at once of ${rate}: write "${rate} burst ${most}"`;
}

/** Matches what is too much by a rule's limit. */
export const overLimit = (chain: PolicyChain, limit: RateLimit): string =>
  over(rateOf(limit), limit.burst, countedBy(chain, limit));

/** The table that such a match counts in. */
export const limitTable = (chain: PolicyChain, limit: RateLimit): string =>
  tableName('above', rateOf(limit), limit.burst, countedBy(chain, limit));

/** Whether both are one limit to xt_hashlimit, which keeps the time between two flows in whole millionths of a second. */
export const isOneLimit = (a: Omit<RateLimit, 'shared'>, b: Omit<RateLimit, 'shared'>): boolean =>
  Math.abs(gapOf(rateOf(a)) - gapOf(rateOf(b))) <= 1 && Math.min(a.burst, MOST) === Math.min(b.burst, MOST);

/** Matches what is not. */
export const within = (rate: string, burst: number, counted: readonly unknown[]): string =>
  limitMatch('upto', rate, burst, counted);

/** What NFLOG and LOG take, without the final zero. */
const PREFIX = { group: 63, kernel: 28 } as const;

/** As much of `web egress web.yaml:12 ` as fits: the line must stay. All that one container logs counts together. */
export function logTarget({ owner, direction }: PolicyChain, origin: Origin | null, log: HostState['log']): string {
  const most = log.group === 'kernel' ? PREFIX.kernel : PREFIX.group;
  const place = origin === null ? 'default' : `${origin.file}:${origin.line}`;
  const end = ` ${direction} ${place} `.slice(-most);
  const prefix = logPrefixText(`${(owner?.container ?? '').slice(0, most - end.length)}${end}`);
  const target =
    log.group === 'kernel'
      ? `-j LOG --log-level info --log-prefix "${prefix}"`
      : `-j NFLOG --nflog-group ${log.group} --nflog-prefix "${prefix}"`;
  return `${within(log.rate, 5, ['log', owner?.id])} ${target}`;
}
