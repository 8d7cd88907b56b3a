/** The panic as the daemon keeps it: in the kernel first, then on the disk, then in what the next boot loads. */
import { PANIC_TABLE, renderSeal, type Seal } from '../../render/panic.ts';
import { Unread } from '../commands/reading.ts';
import type { Run } from '../commands/run.ts';
import { listTables } from '../kernel/observe.ts';
import { type Log, messageOf } from '../log.ts';
import type { DurableDisk } from '../state/durable-disk.ts';
import { describePanic } from './describe-panic.ts';
import { type PanicScope, sealFor } from './panic-scope.ts';
import {
  isPanic,
  NO_PANIC,
  type PanicOrder,
  type PanicState,
  readPanic,
  turn,
  viewPanic,
  writePanic,
} from './panic-state.ts';
import type { SealTable } from './panic-table.ts';

export interface PanicOptions {
  readonly stateDirectory: string;
  readonly disk: DurableDisk;
  readonly table: SealTable;
  readonly log: Log;
  /** What the next boot is to load along with the last rules; nothing where it is empty. */
  readonly keepForBoot: (commands: readonly string[]) => Promise<void>;
  /** In the words of what serves; nft's by default. */
  readonly renderForBoot?: (seal: Seal) => readonly string[];
  /** Sealed now: connections of before are to be forgotten. Must not be waited for. */
  readonly onSealed: () => void;
}

const NOTHING: PanicScope = { config: { guard: [], uplinks: 'auto' }, containers: () => [], nics: () => [] };

export class Panic {
  readonly #options: PanicOptions;
  #state: PanicState = NO_PANIC;
  /** As the last pass that ended left it, and with what the present one brings. */
  #settled = NOTHING;
  #scope = NOTHING;
  /** Whether the file says something else, since the disk refused it. */
  #isRefused = false;
  #complaint: string | undefined;
  #working: Promise<unknown> = Promise.resolve();
  /** Orders that wait for their turn. */
  #waiting = 0;
  /** Puts a comparison aside that is made. */
  #putAside: (() => void) | undefined;

  constructor(options: PanicOptions) {
    this.#options = options;
  }

  get state(): PanicState {
    return this.#state;
  }

  get isOn(): boolean {
    return isPanic(this.#state);
  }

  get isRefused(): boolean {
    return this.#isRefused;
  }

  /** Learns what an earlier run, or the command line, left. */
  async open(): Promise<void> {
    this.#state = await readPanic(this.#options.stateDirectory);
    for (const line of describePanic(this.#state)) this.#options.log('warning', line, { EVENT: 'panic' });
  }

  /** @returns whether anything changed. @throws PanicRefused; Error where it is not, or not for good, in force. */
  async order(order: PanicOrder): Promise<boolean> {
    // A comparison may hang, and is made again.
    this.#waiting++;
    this.#putAside?.();
    return await this.#exclusively(async () => {
      this.#waiting--;
      const state = turn(this.#state, order, new Date().toISOString());
      if (isSame(state, this.#state) && !this.#isRefused) return false;
      await (order.on ? this.#seal(state) : this.#unseal(state));
      this.#options.log('warning', wordsOf(order), { EVENT: 'panic' });
      return true;
    });
  }

  /** Before a pass changes the rules: what it brings is sealed before it comes, and what it takes away still is. */
  async cover(scope: PanicScope): Promise<void> {
    await this.#exclusively(async () => {
      const settled = this.#settled;
      this.#scope = { ...scope, nics: () => [...settled.nics(), ...scope.nics()] };
      if (isPanic(this.#state)) await this.#options.table.hold(sealFor(this.#state, this.#scope));
    });
  }

  /** After it. */
  async settle(scope: PanicScope): Promise<void> {
    await this.#exclusively(async () => {
      this.#settled = scope;
      this.#scope = scope;
      if (this.#isRefused) await this.#save(this.#state).catch((cause: unknown) => this.#complain(cause));
      if (!isPanic(this.#state)) return;
      const seal = sealFor(this.#state, scope);
      await this.#options.table.hold(seal);
      await this.#keepForBoot(seal);
    });
  }

  /** Believes neither the kernel nor itself: the file may have been changed by a command that we didn't answer. */
  async verify(signal?: AbortSignal): Promise<readonly string[]> {
    return await this.#exclusively(async () => {
      const { table } = this.#options;
      const isMended = await this.#orderly(signal, (until) => table.verify(sealFor(this.#state, this.#scope), until));
      if (!this.#isRefused) await this.#adopt();
      else await this.#save(this.#state).catch((cause: unknown) => this.#complain(cause));
      await table.hold(sealFor(this.#state, this.#scope));
      return isMended ? ['the tables that seal'] : [];
    });
  }

  /** Whether nobody is sealed, by the file either, and there is no table that would seal; false where it can't be told. */
  async isAbsent(run: Run): Promise<boolean> {
    if (this.#isRefused || isPanic(this.#state) || isPanic(await readPanic(this.#options.stateDirectory))) return false;
    return (await listTables(run, ['inet'], PANIC_TABLE)) === '';
  }

  /** As long as nobody orders anything. */
  async #orderly<T>(signal: AbortSignal | undefined, read: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    const end = (): void => controller.abort(signal?.reason);
    if (signal?.aborted === true) end();
    signal?.addEventListener('abort', end);
    this.#putAside = () => controller.abort(new Unread('a panic is ordered'));
    if (this.#waiting > 0) this.#putAside();
    try {
      return await read(controller.signal);
    } finally {
      this.#putAside = undefined;
      signal?.removeEventListener('abort', end);
    }
  }

  async #adopt(): Promise<void> {
    const read = await readPanic(this.#options.stateDirectory, this.#state);
    // A file that went away switches nothing off: only `panic off` does.
    if (!isPanic(read) && isPanic(this.#state)) {
      await this.#save(this.#state).catch((cause: unknown) => this.#complain(cause));
    } else if (!isSame(read, this.#state)) {
      this.#state = read;
      for (const line of describePanic(read)) this.#options.log('warning', line, { EVENT: 'panic' });
    }
  }

  /** Whatever fails, the rest is done all the same. */
  async #seal(state: PanicState): Promise<void> {
    this.#state = state;
    const seal = sealFor(state, this.#scope);
    const [inKernel] = await Promise.allSettled([this.#options.table.hold(seal)]);
    this.#options.onSealed();
    const [onDisk] = await Promise.allSettled([this.#save(state)]);
    await this.#keepForBoot(seal);
    if (inKernel.status === 'rejected') throw new Error('not sealed', { cause: inKernel.reason });
    if (onDisk.status === 'rejected')
      throw new Error('sealed now, but a restart or reboot would end it', { cause: onDisk.reason });
  }

  /** Not before the disk has it: what would come back by itself after a restart was not switched off. */
  async #unseal(state: PanicState): Promise<void> {
    await this.#save(state).catch((cause: unknown) => {
      throw new Error('still sealed', { cause });
    });
    this.#state = state;
    const seal = sealFor(state, this.#scope);
    await this.#keepForBoot(seal);
    await this.#options.table.hold(seal);
  }

  async #save(state: PanicState): Promise<void> {
    try {
      await writePanic(this.#options.disk, this.#options.stateDirectory, state);
    } catch (cause) {
      this.#isRefused = true;
      throw cause;
    }
    this.#isRefused = false;
    this.#complaint = undefined;
  }

  async #keepForBoot(seal: Seal | undefined): Promise<void> {
    const { renderForBoot = renderSeal } = this.#options;
    const commands = seal === undefined ? [] : renderForBoot(seal);
    await this.#options.keepForBoot(commands).catch((cause: unknown) => this.#complain(cause));
  }

  /** Once for what goes on failing in the same way: each pass tries. */
  #complain(cause: unknown): void {
    const complaint = messageOf(cause);
    if (complaint !== this.#complaint) this.#options.log('error', `panic: ${complaint}`);
    this.#complaint = complaint;
  }

  /** The kernel, the file and what is known are one state: one change at a time. */
  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#working.then(work);
    this.#working = done.catch(() => undefined);
    return done;
  }
}

const isSame = (a: PanicState, b: PanicState): boolean => JSON.stringify(viewPanic(a)) === JSON.stringify(viewPanic(b));

const wordsOf = ({ on, containers, by }: PanicOrder): string => {
  const who = containers.length === 0 ? 'all containers' : containers.join(', ');
  return `panic ${on ? 'on' : 'off'}: ${who}, by ${by}`;
};
