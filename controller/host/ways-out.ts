/** The interfaces that the host's default routes lead to, as they were read. */
import { abortable, patiently, reading, type Wait } from '../commands/reading.ts';
import type { Run } from '../commands/run.ts';
import { readWaysOut } from '../kernel/observe-uplinks.ts';

export class WaysOut {
  readonly #run: Run;
  #devs: ReadonlySet<string> | undefined;

  constructor(run: Run) {
    this.#run = run;
  }

  get devs(): ReadonlySet<string> {
    return this.#devs ?? NONE;
  }

  /** `wait`: for what is known already. @throws Unread */
  async read(wait: Wait): Promise<void> {
    const read = (signal?: AbortSignal) => reading(() => readWaysOut(abortable(this.#run, signal)));
    this.#devs = (await (this.#devs === undefined ? patiently : wait)(read)) ?? this.#devs;
  }
}

const NONE: ReadonlySet<string> = new Set();
