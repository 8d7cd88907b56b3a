/** Captures packets on an interface of a place, to prove that none came through. */
import type { Place } from './place.ts';

export interface Capture {
  /** One line for each packet so far, as `tcpdump -n` prints it. */
  readonly lines: () => readonly string[];
  /** Ends it. `received` is the kernel's own count of matching packets since the start, also of those that tcpdump dropped. */
  stop(): Promise<{ readonly lines: readonly string[]; readonly received: number }>;
}

/** Really captures when it returns. `filter` is tcpdump's, such as `tcp port 80`. `direction` is seen from the interface. */
export async function startCapture(
  place: Place,
  { device, filter = '', direction = 'inout' }: { device: string; filter?: string; direction?: 'in' | 'out' | 'inout' },
): Promise<Capture> {
  const packets: string[] = [];
  // Immediate mode and unbuffered lines: what passed is here before the next step looks.
  const options = ['-n', '-l', '--immediate-mode', '-B', '8192', '-Q', direction, '-i', device];
  const child = place.spawn('tcpdump', [...options, ...(filter === '' ? [] : [filter])], {
    // Its last line is empty.
    onLine: (line) => void (line !== '' && packets.push(line)),
  });
  await child.waitForLine(/listening on/);
  // The kernel counts from when the interface is bound: what came before the filter was there isn't ours.
  child.signal('SIGUSR1');
  const before = countOf(await child.waitForLine(RECEIVED));
  const told = child.lines.length;
  return {
    lines: () => packets,
    stop: async () => {
      await child.stop('SIGINT');
      const summary = child.lines.slice(told).find((line) => RECEIVED.test(line));
      if (summary === undefined) throw new Error(`tcpdump in ${place.label}: no summary\n${child.lines.join('\n')}`);
      return { lines: packets, received: countOf(summary) - before };
    },
  };
}

const RECEIVED = /(\d+) packets? received by filter/;

const countOf = (summary: string): number => Number(RECEIVED.exec(summary)?.[1]);
