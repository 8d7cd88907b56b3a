/** `limit: 20/second burst 40` of a rule. */
import type { RateLimit } from '../render/rule.ts';

export type ParsedLimit = Omit<RateLimit, 'shared'>;

const SECONDS = { second: 1, minute: 60, hour: 3600, day: 86_400 } as const;

const isUnit = (text: string): text is keyof typeof SECONDS => Object.hasOwn(SECONDS, text);

/** What nft takes where no burst is given. */
const BURST = 5;

/** The kernel counts nanoseconds of credit in 64 bits; older ones overflow in silence, newer ones refuse. */
const MOST_CREDIT = 2n ** 63n;

/** The limit, or what is wrong with the text. */
export function parseLimit(text: string): ParsedLimit | string {
  const [, number = '', per = '', burstText] = /^(\d+)\s*\/\s*([a-z]+)(?:\s+burst\s+(\d+))?$/.exec(text.trim()) ?? [];
  if (number === '') return `"${text}" is no limit: write 20/second, or 20/second burst 40`;
  if (!isUnit(per)) return `"${text}": the unit is second, minute, hour or day, not "${per}"`;
  const [flows, burst] = [Number(number), Number(burstText ?? BURST)];
  if (flows === 0) return `"${text}" lets nothing pass: write drop, or remove the rule`;
  if (burst === 0) return `"${text}": burst is at least 1`;
  if (flows > 1_000_000_000 || !Number.isSafeInteger(burst) || credit(flows, per, burst) >= MOST_CREDIT) {
    return `"${text}" is more than the kernel can count: write a smaller burst, or no limit`;
  }
  return { flows, per, burst };
}

const credit = (flows: number, per: keyof typeof SECONDS, burst: number): bigint =>
  ((BigInt(SECONDS[per]) * 1_000_000_000n) / BigInt(flows)) * BigInt(burst);

/** `at most 20/second, 40 at once` */
export const describeLimit = ({ flows, per, burst }: ParsedLimit): string =>
  `at most ${flows}/${per}, ${burst} at once`;
