/** Whether a comparison with the kernel would find nothing: one did find nothing, and the kernel's marks are the same still. */
import type { DesiredState } from '../../render/desired.ts';
import type { KernelComparison } from './kernel-comparison.ts';

export interface KernelAtPeace {
  /** The kernel's mark of this moment, as in Marks; `undefined`: nothing is certain. */
  readonly mark: () => Promise<string | undefined>;
  /** By the daemon's own comparisons. */
  readonly isProven: (desired: DesiredState, mark: string) => Promise<boolean>;
}

export class KnownRight {
  readonly #kernel: KernelAtPeace;
  #right: { readonly mark: string; readonly desired: DesiredState } | undefined;

  constructor(kernel: KernelAtPeace) {
    this.#kernel = kernel;
  }

  /** @returns `undefined` where nothing would change, for which nothing was listed. @throws what `compare` throws */
  async compare(
    desired: DesiredState,
    compare: () => Promise<KernelComparison>,
  ): Promise<KernelComparison | undefined> {
    const mark = await this.#kernel.mark();
    if (mark !== undefined) {
      if (this.#right?.mark === mark && this.#right.desired === desired) return undefined;
      if (await this.#kernel.isProven(desired, mark)) return undefined;
    }
    const comparison = await compare();
    // No mark tells of iptables' rules, nor of uplinks' tables.
    const isMarked = comparison.backend === 'nftables' && desired.host.uplinkTables === undefined;
    if (mark !== undefined && isMarked && !comparison.changed) void this.#note(mark, desired);
    return comparison;
  }

  /** What was listed meanwhile belongs to this mark, if it is the same behind it. */
  async #note(mark: string, desired: DesiredState): Promise<void> {
    if ((await this.#kernel.mark()) === mark) this.#right = { mark, desired };
  }
}
