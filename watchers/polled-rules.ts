/**
 * Tells that rules of ours changed where the kernel announces nothing: the old iptables has no monitor, so they are asked
 * for every other second.
 */
import type { HostEventBus, Watcher } from './events.ts';

export interface PolledRulesOptions {
  /** The rules as text, the same while nothing changes. */
  readonly ask: () => Promise<string>;
  /** Grows with each change of our own. */
  readonly written: () => number;
  readonly everyMs?: number;
}

const EVERY_MS = 2000;

export function watchPolledRules(bus: HostEventBus, { ask, written, everyMs = EVERY_MS }: PolledRulesOptions): Watcher {
  let known: { readonly text: string; readonly written: number } | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  let asking: Promise<void> = Promise.resolve();

  async function look(): Promise<void> {
    const before = written();
    try {
      const text = await ask();
      const isNew = known === undefined;
      // What we wrote meanwhile is no news; what others did in the same moment is found by the next resync.
      const isForeign = known !== undefined && known.text !== text && known.written === written();
      known = { text, written: before === written() ? before : -1 };
      if (isStopped) return;
      if (isNew) bus.emit('synced', { source: 'iptables-rules' });
      if (isForeign) bus.emit('rulesetCommitted', { generation: 0, pid: 0, process: '', touchesOurs: true });
    } catch (cause) {
      known = undefined;
      const failure = cause instanceof Error ? cause : new Error(String(cause));
      if (!isStopped) bus.emit('watcherFailed', { source: 'iptables-rules', cause: failure, retryInMs: everyMs });
    }
    if (!isStopped) timer = setTimeout(again, everyMs);
  }

  function again(): void {
    asking = look();
  }

  return {
    start: async () => again(),
    stop: async () => {
      isStopped = true;
      clearTimeout(timer);
      await asking;
    },
  };
}
