/**
 * Keeps the ruleset that is in force as a file that `nft -f` loads: for the next boot, when containers may start before
 * this daemon, or without it.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { DesiredState } from '../../render/desired.ts';
import { changedNames } from '../../render/dns-sets.ts';
import type { Pieces } from '../../render/pieces.ts';
import { changedKeys } from '../../render/shared-map.ts';
import { createTurn, inTurns } from '../in-turns.ts';
import { type Log, messageOf } from '../log.ts';
import { readIfThere } from '../read-if-there.ts';
import { type BootFormat, FORMAT_NAMES, nftFormat } from './boot-format.ts';
import { realDisk, replaceFile } from './durable-disk.ts';

/** A boot is rare: a burst of changes is written once. */
const DELAY_MS = 2000;
/** Rendering takes 100 ms and more at 10,000 containers, for which starting ones may wait: a hundredth of the time at most. */
const DELAY_PER_COST = 100;

export class BootRuleset {
  readonly #directory: string;
  readonly #log: Log;
  #format: BootFormat;
  readonly #delayMs: number;
  #wanted: DesiredState | undefined;
  #saved: DesiredState | undefined;
  /** Commands that seal containers. */
  #panic: readonly string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #complaint: string | undefined;
  #isRefused = false;
  #frozen = false;
  #keeping: Promise<void> = Promise.resolve();
  #writing: Promise<void> = Promise.resolve();
  /** The processor's time for the last rendering. */
  #costMs = 0;

  constructor(stateDirectory: string, log: Log, format: BootFormat = nftFormat(), delayMs = DELAY_MS) {
    this.#directory = stateDirectory;
    this.#log = log;
    this.#format = format;
    this.#delayMs = delayMs;
  }

  get #file(): string {
    return join(this.#directory, this.#format.name);
  }

  /** Another backend serves from now on; the file of the one before goes once its own is there. */
  use(format: BootFormat): void {
    if (format.name === this.#format.name) return;
    this.#format = format;
    this.#saved = undefined;
    this.#wanted = undefined;
    this.#panic = [];
  }

  /** Whether the disk refused it, the last time. */
  get isRefused(): boolean {
    return this.#isRefused;
  }

  /** To be written soon, unless it is already. */
  keep(enforced: DesiredState): void {
    if (this.#frozen) return;
    this.#wanted = enforced;
    if (this.#timer !== undefined) return;
    if (isSame(this.#saved, enforced)) {
      // The next comparison is of one with itself.
      this.#saved = enforced;
      return;
    }
    this.#timer = setTimeout(() => void this.flush(), Math.max(this.#delayMs, DELAY_PER_COST * this.#costMs));
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
    this.#keeping = this.#keeping.then(() => this.#keep());
    await this.#keeping;
  }

  /** With the rules that are there, whatever they are: they don't wait for those in force to be rendered. */
  async keepPanic(commands: readonly string[]): Promise<void> {
    if (commands.join('\n') === this.#panic.join('\n')) return;
    this.#panic = commands;
    try {
      await this.#alone(() => writePanicBlock(this.#file, commands));
    } catch (cause) {
      // It comes with the rules, the next time.
      this.#saved = undefined;
      this.#isRefused = true;
      throw cause;
    }
  }

  async #keep(): Promise<void> {
    const [state, format] = [this.#wanted, this.#format];
    if (state === undefined || isSame(this.#saved, state)) return;
    // A state that comes meanwhile is written after this one, even where it is the one that the file holds now.
    this.#saved = undefined;
    try {
      const rules = await this.#render(state);
      await this.#alone(async () => {
        // What was rendered for a backend that no longer serves is of no use.
        if (this.#format === format) await this.#write(rules, state);
      });
    } catch (cause) {
      this.#isRefused = true;
      // What is in the kernel is right all the same; the next pass tries again, and may fail in the same way.
      const complaint = `${this.#file} can't be written, so the next boot has older rules: ${messageOf(cause)}`;
      if (complaint !== this.#complaint) this.#log('error', complaint);
      this.#complaint = complaint;
    }
  }

  /** Containers that start have their turn in between, unless the host goes down. */
  async #render(state: DesiredState): Promise<string> {
    const turn = createTurn();
    let costMs = 0;
    const pieces = timed(this.#format.render(withoutUplinks(state)), (ms) => {
      costMs += ms;
    });
    const rules = await inTurns(pieces, async () => {
      if (!this.#frozen) await turn();
    });
    this.#costMs = costMs;
    return rules;
  }

  async #write(rules: string, state: DesiredState): Promise<void> {
    await replaceFile(realDisk, this.#file, withPanicBlock(rules, this.#panic));
    for (const name of FORMAT_NAMES.filter((name) => name !== this.#format.name))
      await rm(join(this.#directory, name), { force: true });
    this.#saved = state;
    this.#isRefused = false;
    this.#complaint = undefined;
  }

  /** The file is changed by one at a time. */
  #alone(work: () => Promise<void>): Promise<void> {
    const done = this.#writing.then(work);
    this.#writing = done.catch(() => undefined);
    return done;
  }
}

function* timed<T>(pieces: Pieces<T>, onTime: (ms: number) => void): Pieces<T> {
  for (;;) {
    const begin = performance.now();
    const piece = pieces.next();
    onTime(performance.now() - begin);
    if (piece.done === true) return piece.value;
    yield;
  }
}

/** Routing tables don't outlive a boot: one with an uplink of its own would leave by the host's, so it waits for the daemon. */
function withoutUplinks(state: DesiredState): DesiredState {
  const { uplinkTables, ...host } = state.host;
  if (uplinkTables === undefined) return state;
  return { ...state, host, nics: new Map([...state.nics].filter(([, { uplink }]) => uplink === undefined)) };
}

/** Stands between the rules and what seals. */
const PANIC_MARK = '\n# panic\n';

const withPanicBlock = (text: string, commands: readonly string[]): string => {
  const [rules = ''] = text.split(PANIC_MARK, 1);
  return commands.length === 0 ? rules : `${rules}${PANIC_MARK}${commands.join('\n')}\n`;
};

/** For a command that no daemon answers. @throws Error where it can't be written; nothing where no rules are kept yet. */
export const keepPanicForBoot = (
  stateDirectory: string,
  commands: readonly string[],
  { name }: BootFormat = nftFormat(),
): Promise<void> => writePanicBlock(join(stateDirectory, name), commands);

/** Without rules of ours the next boot has those of the guard, which let nothing pass. */
async function writePanicBlock(file: string, commands: readonly string[]): Promise<void> {
  const text = await readIfThere(file);
  if (text === undefined) return;
  const next = withPanicBlock(text, commands);
  if (next !== text) await replaceFile(realDisk, file, next);
}

/** A pass makes new maps of what didn't change. */
function isSame(a: DesiredState | undefined, b: DesiredState): boolean {
  if (a === undefined || a.nics.size !== b.nics.size || changedNames(a.dns, b.dns).length > 0) return false;
  if (a.host !== b.host && !isDeepStrictEqual(a.host, b.host)) return false;
  return changedKeys(a.nics, b.nics).length === 0;
}
