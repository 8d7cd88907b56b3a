/**
 * Keeps the ruleset that is in force as a file that `nft -f` loads: for the next boot, when containers may start before
 * this daemon, or without it.
 */
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { DesiredState } from '../render/desired.ts';
import { changedNames } from '../render/dns-sets.ts';
import { renderDesired } from '../render/nft.ts';
import { renderRuleset, type TableFlag, withFlags } from '../render/ruleset.ts';
import { nameOf } from './apply.ts';
import { realDisk, replaceFile } from './durable-disk.ts';
import { type Log, messageOf } from './log.ts';

const NAME = 'last-good.nft';

/** Rendering takes a second at 10,000 containers, and a boot is rare: a burst of changes is written once. */
const DELAY_MS = 2000;

export class BootRuleset {
  readonly #file: string;
  readonly #log: Log;
  readonly #flags: readonly TableFlag[];
  readonly #delayMs: number;
  #wanted: DesiredState | undefined;
  #saved: DesiredState | undefined;
  #timer: NodeJS.Timeout | undefined;
  #frozen = false;
  #writing: Promise<void> = Promise.resolve();

  /** `flags`: those of a table that the daemon may then take over. */
  constructor(stateDirectory: string, log: Log, flags: readonly TableFlag[] = [], delayMs = DELAY_MS) {
    this.#file = join(stateDirectory, NAME);
    this.#log = log;
    this.#flags = flags;
    this.#delayMs = delayMs;
  }

  /** To be written soon, unless it is already. */
  keep(enforced: DesiredState): void {
    if (this.#frozen) return;
    this.#wanted = enforced;
    if (isSame(this.#saved, enforced)) return;
    this.#timer ??= setTimeout(() => void this.flush(), this.#delayMs);
  }

  /**
   * The host goes down: the next boot shall begin with the rules of what runs now, not with those of what is left while
   * one container after the other stops. It may also be a matter of seconds until there is no power.
   */
  async freeze(): Promise<void> {
    this.#frozen = true;
    await this.flush();
  }

  /** It stays up after all; the next pass tells what is in force. */
  thaw(): void {
    this.#frozen = false;
  }

  /** Writes now what is still to be written. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing = this.#writing.then(() => this.#write());
    await this.#writing;
  }

  async #write(): Promise<void> {
    const state = this.#wanted;
    if (state === undefined || isSame(this.#saved, state)) return;
    try {
      await replaceFile(realDisk, this.#file, renderRuleset(withFlags(renderDesired(state, nameOf), this.#flags)));
      this.#saved = state;
    } catch (cause) {
      // What is in the kernel is right all the same; the next change tries again.
      this.#log('error', `${this.#file} can't be written, so the next boot has older rules: ${messageOf(cause)}`);
    }
  }
}

/** A pass makes new maps of what didn't change. */
function isSame(a: DesiredState | undefined, b: DesiredState): boolean {
  if (a === undefined || a.nics.size !== b.nics.size || changedNames(a.dns, b.dns).length > 0) return false;
  return isDeepStrictEqual(a.host, b.host) && [...b.nics].every(([key, nic]) => a.nics.get(key) === nic);
}
