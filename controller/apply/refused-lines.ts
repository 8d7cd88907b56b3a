/**
 * Lines that were refused and wait for a comparison: routing that `ip` refused to remove, or was lost over, and settings of interfaces, bridges
 * and ports. None is written again as it is: by then its interface may be another one's, or its address wanted anew. A comparison finds what is
 * left of them, and what is ours of it.
 */
import type { FailedLine } from '../commands/ip-channel.ts';
import { messageOf } from '../log.ts';

/** Messages that say that what should go is gone, or its interface is; one that is down tells of its coming up. */
export const GONE =
  /is not up|No such process|No such file|No such device|[Dd]evice not found|Cannot find device|Unable to find the interface|Cannot assign requested address/;

export class RefusedLines {
  /** `ip`'s message by line. */
  readonly #messages = new Map<string, string>();

  get lines(): ReadonlySet<string> {
    return new Set(this.#messages.keys());
  }

  /** After `lines` were written, of which `failures` wait. @returns those that weren't refused in these words before. */
  note(lines: readonly string[], failures: readonly FailedLine[]): FailedLine[] {
    const before = new Map(this.#messages);
    for (const line of lines) this.#messages.delete(line);
    const refused = failures.filter(({ message }) => !GONE.test(message));
    for (const { line, message } of refused) this.#messages.set(line, message);
    return refused.filter(({ line, message }) => before.get(line) !== message);
  }

  /** Nothing is known of what became of them. */
  doubt(lines: readonly string[], cause: unknown): void {
    for (const line of lines) this.#messages.set(line, messageOf(cause));
  }

  /** A comparison found these to write: the rest is as it shall be, or nobody's any more. */
  settle(found: readonly string[]): void {
    const left = new Set(found);
    for (const line of this.lines) if (!left.has(line)) this.#messages.delete(line);
  }
}
