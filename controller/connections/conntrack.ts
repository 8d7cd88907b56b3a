/** Forgets connections of addresses that are gone, so that the next one with such an address doesn't inherit its flows. */
import type { Prefix } from '../../render/address.ts';
import { createRetryTimes } from '../../watchers/retry-times.ts';
import { type Log, messageOf } from '../log.ts';
import type { TrackedFlows } from './tracked-flows.ts';

/** A prefix that a NIC had. */
export interface FormerAddress {
  readonly key: string;
  readonly prefix: Prefix;
}

export interface ConntrackCleaner {
  /** Deletes the prefixes' entries soon, unless the same NIC has one of them again by then, as after a reboot. */
  forget(former: readonly FormerAddress[]): void;
  /** What isn't deleted yet. */
  readonly waiting: readonly FormerAddress[];
  /** Deletes them now: when it resolves, another NIC may have them. */
  release(prefixes: readonly Prefix[]): Promise<void>;
  /** Resolves when nothing waits any more. */
  idle(): Promise<void>;
}

/** Of a program that may be killed or lack descriptors; after that, what waits for it goes on all the same, and the rest is tried later. */
const TRIES = 3;

/** Off the event's path, and all that waits by one reading of the table. */
export function createConntrackCleaner(
  flows: Pick<TrackedFlows, 'forget'>,
  log: Log,
  isBack: (former: FormerAddress) => boolean,
): ConntrackCleaner {
  const waiting = new Map<string, FormerAddress>();
  let atWork: readonly FormerAddress[] = [];
  let working: Promise<void> | undefined;
  let retry: NodeJS.Timeout | undefined;
  const retryTimes = createRetryTimes();

  async function forgetAll(prefixes: readonly Prefix[], left = TRIES): Promise<void> {
    try {
      await flows.forget([...new Set(prefixes)]);
    } catch (cause) {
      if (left > 1) return await forgetAll(prefixes, left - 1);
      throw new Error(`tracked connections of ${prefixes.join(', ')} can't be forgotten`, { cause });
    }
  }

  async function work(): Promise<void> {
    try {
      while (waiting.size > 0) {
        atWork = [...waiting.values()].filter((former) => !isBack(former));
        waiting.clear();
        await forgetAll(atWork.map(({ prefix }) => prefix));
      }
      retryTimes.reset();
    } catch (cause) {
      note(atWork);
      const retryMs = retryTimes.next();
      log('warning', `${messageOf(cause)}; trying again in ${retryMs} ms`);
      // One for all that waits, however many came meanwhile.
      clearTimeout(retry);
      retry = setTimeout(begin, retryMs).unref();
    } finally {
      atWork = [];
      working = undefined;
    }
  }

  function note(former: readonly FormerAddress[]): void {
    for (const one of former) waiting.set(`${one.key} ${one.prefix}`, one);
  }

  function begin(): void {
    if (waiting.size > 0) working ??= work();
  }

  /** Another NIC is to have them: what it begins with them must live. */
  function leave(prefixes: ReadonlySet<Prefix>): void {
    for (const [id, { prefix }] of waiting) if (prefixes.has(prefix)) waiting.delete(id);
  }

  return {
    forget: (former) => {
      note(former);
      begin();
    },
    get waiting() {
      return [...atWork, ...waiting.values()];
    },
    release: async (prefixes) => {
      const released = new Set(prefixes);
      leave(released);
      // What is being deleted now must be so before the next owner's first packet.
      await working;
      leave(released);
      await forgetAll(prefixes).catch((cause: unknown) => log('warning', messageOf(cause)));
    },
    idle: async () => {
      while (working !== undefined) await working;
    },
  };
}
