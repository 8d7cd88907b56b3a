/** The addresses of names, asked again as their TTL ends. Which names, others say; what to believe, others decide. */
import type { LookUp } from './dns-lookup.ts';
import { type DnsRecord, type Lasting, learnAnswer, NOTHING_KNOWN, sameAddresses } from './dns-record.ts';
import type { HostEventBus, Watcher } from './events.ts';

export interface DnsNamesOptions extends Lasting {
  readonly lookUp: LookUp;
  /** What is known already; kept up to date here. */
  readonly records: Map<string, DnsRecord>;
  /** Told of every answer and failure, before the event. */
  readonly onRecord?: (name: string, record: DnsRecord, before: DnsRecord) => void;
}

export interface DnsNames extends Watcher {
  /** The names to follow from now on; what is known of others is forgotten. */
  setNames(names: Iterable<string>): void;
  /** Asks about all of them now. */
  askAgain(): void;
}

/** Each is two packets; a resolver that has all of them in its cache answers hundreds in a second. */
const AT_ONCE = 8;
/** No record waits longer for its next question: the clock was set back. */
const LONGEST_MS = 2 * 3_600_000;

export function watchDnsNames(bus: HostEventBus, options: DnsNamesOptions): DnsNames {
  const { lookUp, records, onRecord } = options;
  let running = false;
  let timer: NodeJS.Timeout | undefined;
  let names: ReadonlySet<string> = new Set();
  const asking = new Set<string>();
  const recordOf = (name: string): DnsRecord => records.get(name) ?? NOTHING_KNOWN;

  async function ask(name: string): Promise<void> {
    const told = await lookUp(name);
    // Stopped, or nobody's name any more.
    if (!running || !names.has(name)) return;
    const before = recordOf(name);
    const record = learnAnswer(before, told, { ...options, now: Date.now(), spread: Math.random() });
    records.set(name, record);
    onRecord?.(name, record, before);
    if (!sameAddresses(before, record)) bus.emit('dnsAnswerChanged', { name });
  }

  function schedule(): void {
    clearTimeout(timer);
    if (!running) return;
    const idle = [...names].filter((name) => !asking.has(name));
    const waiting = idle.sort((a, b) => recordOf(a).next - recordOf(b).next);
    const now = Date.now();
    for (const name of waiting) {
      const wait = recordOf(name).next - now;
      if (asking.size >= AT_ONCE) return;
      if (wait > 0 && wait <= LONGEST_MS) {
        // A timer doesn't notice that the clock is set.
        timer = setTimeout(schedule, Math.min(wait, 3_600_000));
        return;
      }
      asking.add(name);
      void ask(name)
        .catch((cause: unknown) => {
          records.set(name, { ...recordOf(name), next: Date.now() + 60_000, error: String(cause) });
        })
        .finally(() => {
          asking.delete(name);
          schedule();
        });
    }
  }

  return {
    setNames: (wanted) => {
      const next = new Set(wanted);
      if (next.size === names.size && [...next].every((name) => names.has(name))) return;
      names = next;
      for (const name of records.keys()) if (!names.has(name)) records.delete(name);
      schedule();
    },
    askAgain: () => {
      for (const name of names) if (records.has(name)) records.set(name, { ...recordOf(name), next: 0 });
      schedule();
    },
    start: async () => {
      running = true;
      schedule();
    },
    stop: async () => {
      running = false;
      clearTimeout(timer);
    },
  };
}
