/** What each network interface of this namespace has carried, in one reading and without a fork. */
import { readFile } from 'node:fs/promises';

/** As the host sees the interface; of a container's host-side veth, `received` is what the container sent. */
export interface InterfaceCounters {
  readonly received: Carried;
  readonly sent: Carried;
}

/** Bytes of whole Ethernet frames. */
export interface Carried {
  readonly packets: number;
  readonly bytes: number;
}

/** /proc/net is a link to it; this one needs no other process's entry to be visible. */
const FILE = '/proc/self/net/dev';

/** By interface name. @throws Error when /proc can't be read. */
export const readInterfaceCounters = async (): Promise<ReadonlyMap<string, InterfaceCounters>> =>
  parseInterfaceCounters(await readFile(FILE, 'utf8'));

/** `  veth0: 1116 14 0 0 0 0 0 0 906 11 0 0 0 0 0 0`: bytes, packets and six more received, the same sent. */
export function parseInterfaceCounters(text: string): Map<string, InterfaceCounters> {
  const found = new Map<string, InterfaceCounters>();
  for (const line of text.split('\n')) {
    const [, name, columns] = /^\s*([^:\s]+):(.*)$/.exec(line) ?? [];
    if (name === undefined || columns === undefined) continue;
    const numbers = columns.trim().split(/\s+/).map(Number);
    const [received, sent] = [carried(numbers, 0), carried(numbers, 8)];
    if (received !== undefined && sent !== undefined) found.set(name, { received, sent });
  }
  return found;
}

function carried(numbers: readonly number[], at: number): Carried | undefined {
  const [bytes, packets] = [numbers[at], numbers[at + 1]];
  return bytes === undefined || packets === undefined || !Number.isFinite(bytes + packets)
    ? undefined
    : { packets, bytes };
}
