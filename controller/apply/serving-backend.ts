/** The one backend that serves, and its change: the new one's rules are in force before the old one's go. */
import type { DesiredState } from '../../render/desired.ts';
import { type Log, messageOf } from '../log.ts';
import type { Backend, Committed, Held, Holdable, Look } from './backend.ts';
import { readBackends, writeBackends } from './backend-memory.ts';
import type { ChosenBackend } from './choose-backend.ts';

export interface ServingOptions {
  readonly stateDirectory: string;
  readonly log: Log;
  readonly create: (chosen: ChosenBackend) => Backend;
}

export class ServingBackend implements Backend {
  readonly #options: ServingOptions;
  #chosen: ChosenBackend = 'nftables';
  #backend: Backend | undefined;
  /** Served before, by what the disk remembers, and may still have rules in the kernel. */
  #retired: readonly ChosenBackend[] = [];

  constructor(options: ServingOptions) {
    this.#options = options;
  }

  get name(): Backend['name'] {
    return this.#serving.name;
  }

  get chosen(): ChosenBackend {
    return this.#chosen;
  }

  /** The guard shuts the host by nftables at any time where it can't load the rules of the one that serves. */
  get #suspected(): readonly ChosenBackend[] {
    return this.#chosen === 'nftables' ? [] : ['nftables'];
  }

  get #serving(): Backend {
    this.#backend ??= this.#options.create(this.#chosen);
    return this.#backend;
  }

  /** From the next resync on; to be called before it. @throws Error where the disk can't remember it: nothing changed then. */
  async use(chosen: ChosenBackend): Promise<void> {
    const { stateDirectory, log } = this.#options;
    const known = await readBackends(stateDirectory);
    const others = known.filter((name) => name !== chosen);
    if (!known.includes(chosen)) await writeBackends(stateDirectory, [...known, chosen]);
    if (others.length > 0 || chosen !== 'nftables') log('info', `backend: ${chosen}`);
    if (chosen !== this.#chosen) this.#backend = undefined;
    this.#chosen = chosen;
    this.#retired = others;
  }

  holdable(desired: DesiredState): Holdable {
    return this.#serving.holdable(desired);
  }

  change(before: DesiredState, after: DesiredState): Promise<Committed> {
    return this.#serving.change(before, after);
  }

  async holds(state: DesiredState, look: Look): Promise<boolean> {
    if (this.#retired.length > 0 || this.#serving.holds === undefined) throw new Error('not told by this backend');
    return await this.#serving.holds(state, look);
  }

  async putBack(state: DesiredState): Promise<readonly string[]> {
    return (await this.#serving.putBack?.(state)) ?? [];
  }

  describe(before: DesiredState, after: DesiredState): readonly string[] {
    return this.#serving.describe(before, after);
  }

  remove(): Promise<Committed> {
    return this.#serving.remove();
  }

  async readOwned(): Promise<ReadonlySet<string>> {
    const owned = await this.#serving.readOwned();
    const [retired] = [...this.#retired, ...this.#suspected];
    return owned.size > 0 || retired === undefined ? owned : await this.#options.create(retired).readOwned();
  }

  async read(signal?: AbortSignal): Promise<Held> {
    const held = await this.#serving.read(signal);
    return {
      ...held,
      bring: async (state) => {
        const committed = await held.bring(state);
        if (committed.refusal === undefined) await this.#retire();
        return committed;
      },
    };
  }

  /** What can't be taken away now is tried again by the next resync. */
  async #retire(): Promise<void> {
    const { log, create, stateDirectory } = this.#options;
    for (const name of new Set([...this.#retired, ...this.#suspected])) {
      try {
        const { refusal } = await create(name).remove();
        if (refusal !== undefined) throw new Error(refusal.message);
      } catch (cause) {
        log('error', `the rules of ${name} are still there, beside those of ${this.#chosen}: ${messageOf(cause)}`);
        return;
      }
    }
    if (this.#retired.length === 0) return;
    this.#retired = [];
    await writeBackends(stateDirectory, [this.#chosen]).catch((cause: unknown) => log('error', messageOf(cause)));
  }
}
