/**
 * Tells that rules changed where the kernel announces nothing: the old iptables and ipset have no monitor, so they are asked
 * for every other second. Our own changes are told too: who changed what between two questions, nobody can say.
 */
import type { HostEventBus, Watcher } from './events.ts';

export interface PolledRulesOptions {
  /** The rules as text, the same while nothing changes. */
  readonly ask: () => Promise<string>;
  readonly everyMs?: number;
}

const EVERY_MS = 2000;

export function watchPolledRules(bus: HostEventBus, { ask, everyMs = EVERY_MS }: PolledRulesOptions): Watcher {
  let known: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  let asking: Promise<void> = Promise.resolve();

  async function look(): Promise<void> {
    try {
      const text = await ask();
      const before = known;
      known = text;
      if (isStopped) return;
      if (before === undefined) bus.emit('synced', { source: 'iptables-rules' });
      else if (before !== text)
        bus.emit('rulesetCommitted', { generation: 0, pid: 0, process: '', touchesOurs: true, deletesOurs: false });
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
