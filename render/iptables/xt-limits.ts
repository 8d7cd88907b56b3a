/** What counts over time: limits and logs, by tables of xt_hashlimit, which keep their count when rules are written anew. */
import type { HostState } from '../desired.ts';
import { logPrefixText } from '../names.ts';
import type { Origin, PolicyChain } from '../rule.ts';
import { hashOf } from './xt-names.ts';

/** The most that xt_hashlimit takes, of either. */
const MOST = 1_000_000;

const clamped = (rate: string): string => {
  const [number = '', unit = ''] = rate.split('/');
  return `${Math.min(Number(number), MOST)}/${unit}`;
};

/** `counted`: what tells this count from all others. A table keeps the rate that it was made with, so that names it too. */
function limitMatch(kind: 'above' | 'upto', rate: string, burst: number, counted: readonly unknown[]): string {
  const name = `RW${hashOf(JSON.stringify([...counted.map((part) => part ?? ''), kind, rate, burst]))}`;
  return `-m hashlimit --hashlimit-${kind} ${clamped(rate)} --hashlimit-burst ${Math.min(burst, MOST)} --hashlimit-name ${name}`;
}

/** Matches what is too much. */
export const over = (rate: string, burst: number, counted: readonly unknown[]): string =>
  limitMatch('above', rate, burst, counted);

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
