/** That the kernel holds what it shall, without looking at all of it: it was found so, and has the same marks still. */
import type { DesiredState } from '../../render/desired.ts';
import type { KernelMarks } from '../kernel/kernel-marks.ts';
import type { Applied } from './applied.ts';

/** An hour, as resyncs go: what no mark can tell, such as a mistake in this, doesn't stay for ever. */
const FRESH_EVERY = 60;

interface Proven {
  readonly marks: string;
  readonly desired: DesiredState;
  readonly applied: Applied;
}

export class KernelProof {
  readonly #marks: KernelMarks | undefined;
  #proven: Proven | undefined;
  /** Of the present resync. */
  #now: string | undefined;
  #looks = 0;

  constructor(marks: KernelMarks | undefined) {
    this.#marks = marks;
  }

  /** A resync begins, and reads whatever it reads after this. @returns whether the kernel is as it was when it was right. */
  async look(): Promise<boolean> {
    this.#looks++;
    this.#now = await this.#marks?.read();
    if (this.#looks % FRESH_EVERY === 0) this.#proven = undefined;
    return this.#now !== undefined && this.#now === this.#proven?.marks;
  }

  /** What the comparison would come to; `undefined` where it has to be made. `enforced`: by what is known. */
  of(desired: DesiredState, enforced: DesiredState | undefined): Applied | undefined {
    const { marks, desired: known, applied } = this.#proven ?? {};
    const isSame = marks !== undefined && marks === this.#now && known === desired && applied?.enforced === enforced;
    return isSame ? applied : undefined;
  }

  /** What a comparison came to. The marks from before it count, if they are the same behind it. */
  async note(desired: DesiredState, applied: Applied): Promise<void> {
    const marks = this.#now;
    this.forget();
    if (marks === undefined || !isRight(applied) || marks !== (await this.#marks?.read())) return;
    this.#proven = { marks, desired, applied: { ...applied, abandoned: [] } };
  }

  forget(): void {
    this.#proven = undefined;
    this.#now = undefined;
  }
}

/** Nothing was to be done, and nothing would change without another mark: those of bridges and of uplinks' tables are no part. */
const isRight = ({ enforced: { host }, written, refused, unrouted, unread }: Applied): boolean =>
  unread === undefined &&
  written + refused.size + unrouted.size === 0 &&
  host.uplinkTables === undefined &&
  host.bridges === undefined;
