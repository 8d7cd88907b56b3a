/** Files that the kernel refused to have read are read again, soon and then ever more rarely: no event tells when they can be. */
import { createRetryTimes } from '../../watchers/retry-times.ts';
import type { RefusedFiles } from '../host/host-reader.ts';
import type { DirtyParts } from '../pass/dirty.ts';
import type { Timers } from '../timers.ts';

export interface RefusedFilesOptions {
  readonly timers: Timers;
  readonly refused: () => RefusedFiles;
  readonly isConfigRefused: () => boolean;
  /** Asks for a pass, and gives what it is to read again. */
  readonly mark: () => DirtyParts;
}

export class RefusedFilesRetry {
  readonly #options: RefusedFilesOptions;
  readonly #times = createRetryTimes();
  #isPause = false;

  constructor(options: RefusedFilesOptions) {
    this.#options = options;
  }

  /** A pass has read what it had to. */
  follow(): void {
    if (this.#isPause) return;
    if (!this.#isAny()) {
      this.#times.reset();
      return;
    }
    this.#isPause = true;
    this.#options.timers.after(this.#times.next(), () => {
      this.#isPause = false;
      this.#readAgain();
    });
  }

  #isAny(): boolean {
    const { policies, configs, leases } = this.#options.refused();
    return policies.size > 0 || configs.size > 0 || leases || this.#options.isConfigRefused();
  }

  #readAgain(): void {
    const { policies, configs, leases } = this.#options.refused();
    const dirty = this.#options.mark();
    if (dirty.policies !== 'all') for (const file of policies) dirty.policies.add(file);
    for (const [id, container] of configs) dirty.configs.set(id, container);
    if (leases) dirty.leases = true;
    if (this.#options.isConfigRefused()) dirty.config = true;
  }
}
