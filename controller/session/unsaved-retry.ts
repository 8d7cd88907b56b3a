/** What the disk refused to keep is written again, soon and then ever more rarely: no event tells that there is room. */
import type { Timers } from '../timers.ts';

export interface UnsavedRetryOptions {
  readonly timers: Timers;
  /** See SessionOptions. */
  readonly isUnsaved: () => boolean;
  /** Asks for a pass: any one tries again what the disk refused. */
  readonly request: () => void;
}

const LOOK_MS = { first: 2_000, most: 60_000 };

export class UnsavedRetry {
  readonly #options: UnsavedRetryOptions;
  #ms = LOOK_MS.first;

  constructor(options: UnsavedRetryOptions) {
    this.#options = options;
  }

  begin(): void {
    this.#options.timers.after(this.#ms, () => this.#look());
  }

  #look(): void {
    const { isUnsaved, request } = this.#options;
    const isToBeTried = isUnsaved();
    if (isToBeTried) request();
    this.#ms = isToBeTried ? Math.min(2 * this.#ms, LOOK_MS.most) : LOOK_MS.first;
    this.begin();
  }
}
