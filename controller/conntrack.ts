/** Forgets connections of addresses that are gone, so that who gets the address next doesn't inherit its flows. */
import { familyOf, isHostPrefix, networkOf, type Prefix } from '../render/address.ts';
import { type Log, messageOf } from './log.ts';
import type { Run } from './run.ts';

/** A prefix that a NIC had. */
export interface FormerAddress {
  readonly key: string;
  readonly prefix: Prefix;
}

export interface ConntrackCleaner {
  /** Deletes the prefixes' entries soon, unless the same NIC has one of them again by then, as after a reboot. */
  forget(former: readonly FormerAddress[]): void;
  /** Resolves when nothing waits any more. */
  idle(): Promise<void>;
}

/** A scan of the whole table costs 75 ms at 20,000 entries: off the event's path, and one after the other. */
export function createConntrackCleaner(
  run: Run,
  log: Log,
  isBack: (former: FormerAddress) => boolean,
): ConntrackCleaner {
  const waiting = new Map<string, FormerAddress>();
  let working: Promise<void> | undefined;

  async function work(): Promise<void> {
    for (const [id, former] of waiting) {
      waiting.delete(id);
      if (isBack(former)) continue;
      try {
        await deleteEntries(run, former.prefix);
      } catch (cause) {
        log('warning', `conntrack entries of ${former.prefix}: ${messageOf(cause)}`);
      }
    }
    working = undefined;
  }

  return {
    forget: (former) => {
      for (const one of former) waiting.set(`${one.key} ${one.prefix}`, one);
      if (waiting.size > 0) working ??= work();
    },
    idle: async () => {
      while (working !== undefined) await working;
    },
  };
}

/** As the flow's originator, and as its destination before and after address translation. */
async function deleteEntries(run: Run, prefix: Prefix): Promise<void> {
  const family = familyOf(prefix) === 6 ? 'ipv6' : 'ipv4';
  const host = isHostPrefix(prefix);
  // conntrack takes no prefix for a reply; an address that translation gives is a host's anyway.
  for (const side of host ? ['--orig-src', '--orig-dst', '--reply-src', '--reply-dst'] : ['--orig-src', '--orig-dst']) {
    const { stderr, exitCode } = await run('conntrack', ['-D', '-f', family, side, host ? networkOf(prefix) : prefix]);
    // "0 flow entries have been deleted" is exit status 1 too.
    if (exitCode !== 0 && !stderr.includes('flow entries have been deleted')) throw new Error(stderr.trim());
  }
}
