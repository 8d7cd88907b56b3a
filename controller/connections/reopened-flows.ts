/**
 * An answer that is on its way while its flow is cut begins a flow of its own, if its sender may send: then all that the other
 * end goes on sending passes as an answer to it. Such a flow is found by the handle of the one that was cut. Who sends without
 * a pause begins it anew at once when it is removed; so it is shut (`TrackedFlows`) where it can be.
 */
import { setImmediate } from 'node:timers/promises';
import type { TrackedFlow, TrackedFlows } from './tracked-flows.ts';

/** From one look to the next; what answers later still has begun something by itself. */
const WAITS_MS: readonly number[] = [50, 200, 1_000, 5_000];

/** TCP without a SYN begins nothing, nor do answers of ICMP and ICMPv6. */
const NEVER: ReadonlySet<number> = new Set([1, 6, 58]);

/** As many as are judged, and removed, in some milliseconds. */
const AT_ONCE = 500;

export interface ReopenedFlows {
  /** Removes them again for some seconds. `isDoomed` is asked each time: what is allowed by then lives. */
  end(cut: readonly TrackedFlow[], isDoomed: (flow: TrackedFlow) => boolean): void;
}

/** Nobody waits for it. Where it fails once, the next time serves. */
export function createReopenedFlows(remove: TrackedFlows['remove']): ReopenedFlows {
  async function removeAgain(cut: readonly TrackedFlow[], isDoomed: (flow: TrackedFlow) => boolean): Promise<void> {
    for (let at = 0; at < cut.length; at += AT_ONCE) {
      const doomed = cut.slice(at, at + AT_ONCE).filter(isDoomed);
      await remove(doomed.map(({ handle }) => handle)).catch(() => undefined);
      await setImmediate();
    }
  }

  function later(cut: readonly TrackedFlow[], isDoomed: (flow: TrackedFlow) => boolean, looks: number): void {
    const wait = WAITS_MS[looks];
    if (wait === undefined || cut.length === 0) return;
    const look = () => void removeAgain(cut, isDoomed).then(() => later(cut, isDoomed, looks + 1));
    setTimeout(look, wait).unref();
  }

  const mayReopen = ({ protocol }: TrackedFlow): boolean => !NEVER.has(protocol);
  return { end: (cut, isDoomed) => later(cut.filter(mayReopen), isDoomed, 0) };
}
