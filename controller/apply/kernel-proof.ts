/** That the kernel holds what it shall, without comparing it: a comparison found it so, and its marks are still the same. */
import type { DesiredState } from '../../render/desired.ts';
import type { WatchedFiles } from '../kernel/file-marks.ts';
import { type KernelMarks, type Marks, QUESTION_MS } from '../kernel/kernel-marks.ts';
import { type Applied, NO_COMPARISON } from './applied.ts';

/** Looks, an hour's worth: what no mark can tell, such as a mistake in this, doesn't stay for ever. */
const FRESH_EVERY = 60;

interface Proven {
  readonly marks: string;
  readonly desired: DesiredState;
  readonly applied: Applied;
}

export class KernelProof {
  readonly #marks: KernelMarks | undefined;
  #proven: Proven | undefined;
  /** Proven once the marks are the same behind its comparison. */
  #noted: Proven | undefined;
  /** Read as the present resync began; `undefined` where that took too long. */
  #now: Marks | undefined;
  /** The newest that are older than anything that the present resync read. */
  #before: Marks | undefined;
  /** Of the look that may lead to a resync. */
  #ahead: Marks | undefined;
  #looks = 0;

  constructor(marks: KernelMarks | undefined) {
    this.#marks = marks;
  }

  /** For a resync that may turn out to be none, so that nobody waits for it. */
  async lookAhead(watched: WatchedFiles): Promise<Marks | undefined> {
    this.#ahead = await this.#marks?.readPatiently(watched);
    this.#countLook();
    return this.#ahead;
  }

  /** The kernel's alone, for a question: what passes and resyncs go by stays as it is. */
  async lookAtKernel(): Promise<Marks | undefined> {
    return await this.#marks?.read(undefined, QUESTION_MS);
  }

  /** As in Marks. */
  async lookAtFiles(watched: WatchedFiles): Promise<string | undefined> {
    return await this.#marks?.readFiles(watched);
  }

  /**
   * A resync begins, and reads whatever it reads after this. `signal`: somebody waits for it.
   * @returns whether the kernel is as it was when it was right.
   */
  async look(watched?: WatchedFiles, signal?: AbortSignal): Promise<boolean> {
    this.#now = await unlessAborted(this.#marks?.read(watched), signal);
    // Too old to prove anything by now, but from before what is read next.
    this.#before = this.#now ?? this.#ahead;
    this.#ahead = undefined;
    this.#countLook();
    return this.#now !== undefined && this.#now.kernel === this.#proven?.marks;
  }

  #countLook(): void {
    this.#looks++;
    if (this.#looks % FRESH_EVERY === 0) this.#proven = undefined;
  }

  /** Of the files, from before they were read; `undefined`: nothing is certain of them. */
  get files(): string | undefined {
    return this.#before?.files;
  }

  /** What the comparison would come to; `undefined` where it has to be made. `enforced`: by what is known. */
  of(desired: DesiredState, enforced: DesiredState | undefined, now = this.#now): Applied | undefined {
    const { marks, desired: known, applied } = this.#proven ?? {};
    const isSame = marks !== undefined && marks === now?.kernel && known === desired && applied?.enforced === enforced;
    return isSame ? applied : undefined;
  }

  /** What a comparison came to. The marks from before it count, if they are the same behind it. */
  note(desired: DesiredState, applied: Applied): void {
    const marks = this.#before?.kernel;
    this.forget();
    if (marks === undefined || !isRight(applied)) return;
    const noted = { marks, desired, applied: { ...applied, ...NO_COMPARISON } };
    this.#noted = noted;
    // No pass has to wait for it: whatever is written meanwhile is not what these marks stand for.
    void this.#marks?.readPatiently().then((behind) => {
      if (this.#noted === noted && behind?.kernel === marks) this.#proven = noted;
    });
  }

  /** As `note`, by a look beside passes that nobody changed anything during, with the marks from before it. */
  noteLook(desired: DesiredState, applied: Applied): void {
    this.#before = this.#ahead;
    this.note(desired, applied);
  }

  forget(): void {
    this.#proven = this.#noted = this.#now = this.#before = undefined;
  }
}

async function unlessAborted<T>(answer: Promise<T> | undefined, signal?: AbortSignal): Promise<T | undefined> {
  if (signal === undefined) return await answer;
  let end = (): void => undefined;
  const aborted = new Promise<undefined>((resolve) => {
    end = () => resolve(undefined);
    if (signal.aborted) end();
    signal.addEventListener('abort', end);
  });
  return await Promise.race([answer, aborted]).finally(() => signal.removeEventListener('abort', end));
}

/** Nothing was to be done, and nothing would change without another mark: those of bridges and of uplinks' tables are no part. */
const isRight = ({ enforced: { host }, written, refused, unrouted, unread }: Applied): boolean =>
  unread === undefined &&
  written + refused.size + unrouted.size === 0 &&
  host.uplinkTables === undefined &&
  host.bridges === undefined;
