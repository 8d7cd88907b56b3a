/** Whether files, links and kernel are as the last pass left them, found out without a pass. */
import type { HostLink } from '../../policies/host-network.ts';
import type { DesiredState } from '../../render/desired.ts';
import type { Applier } from '../apply/apply.ts';
import type { Run } from '../commands/run.ts';
import type { HostReader } from '../host/host-reader.ts';
import { createTurn } from '../in-turns.ts';
import { withoutRunning } from '../kernel/file-marks.ts';
import type { Marks } from '../kernel/kernel-marks.ts';
import type { Panic } from '../panic/panic.ts';
import type { TrafficControl } from '../traffic/traffic-control.ts';

/** What is to be read again: all there is, or what the kernel holds, by the host's links as they are or as they are known. */
export type Wrong = 'anything' | 'links' | 'kernel';

interface ResyncLookOptions {
  readonly reader: HostReader;
  readonly applier: Applier;
  readonly panic: Panic;
  readonly traffic: TrafficControl;
  readonly run: Run;
}

export class ResyncLook {
  readonly #options: ResyncLookOptions;
  /** What the last pass was to bring about. */
  #desired: DesiredState | undefined;
  /** The files' mark from before all of them were last read. */
  #readUnder: string | undefined;
  /** The files' mark from before a question had them read. */
  #askedUnder: string | undefined;

  constructor(options: ResyncLookOptions) {
    this.#options = options;
  }

  notePass(desired: DesiredState): void {
    this.#desired = desired;
  }

  /** All files have been read since that mark was taken. */
  noteRead(mark: string | undefined): void {
    this.#readUnder = mark;
  }

  /** All files have been read since that mark was taken; of what runs, only what LXC's sockets told otherwise. */
  noteAsked(mark: string | undefined): void {
    this.#askedUnder = mark;
  }

  /** The mark of all files and of what runs, to be taken before they are read; `undefined`: nothing is certain of them. */
  async lookAtFiles(): Promise<string | undefined> {
    const { watched } = this.#options.reader;
    return watched && (await this.#options.applier.proof.lookAtFiles(watched));
  }

  /** What, by that mark, is as it was when it was last read. */
  knownOf(mark: string | undefined): 'all' | 'files' | 'nothing' {
    const known = [this.#readUnder, this.#askedUnder].filter((each) => each !== undefined);
    if (mark === undefined) return 'nothing';
    if (known.includes(mark)) return 'all';
    return known.map(withoutRunning).includes(withoutRunning(mark)) ? 'files' : 'nothing';
  }

  /**
   * What a resync would have to do, or may have to where that can't be told: `undefined` where there is none to make. By marks,
   * or where containers come and go by a look at everything, which no pass waits for; `idle` waits until none is at work.
   * @throws Error where files can't be read.
   */
  async findWrong(idle: () => Promise<void>): Promise<Wrong | undefined> {
    const { applier, traffic, reader } = this.#options;
    const { watched } = reader;
    if (traffic.isUsed) return 'anything';
    const marks = watched && (await applier.proof.lookAhead(watched));
    if (marks !== undefined && (await this.#isAsItWas(marks))) return undefined;
    const wrong = await this.#lookForWrong(idle);
    if (wrong === undefined) this.#readUnder = marks?.files;
    return wrong;
  }

  async #isAsItWas(marks: Marks): Promise<boolean> {
    if (marks.files === undefined || marks.files !== this.#readUnder || this.#desired === undefined) return false;
    return (await this.#options.applier.proven(this.#desired, marks)) !== undefined;
  }

  async #lookForWrong(idle: () => Promise<void>): Promise<Wrong | undefined> {
    const { reader, applier, panic, run } = this.#options;
    const turn = createTurn(idle);
    if (!(await panic.isAbsent(run)) || !(await reader.isAsRead(turn))) return 'anything';
    await idle();
    if (this.#desired === undefined) return 'anything';
    let wrong: Wrong = 'kernel';
    const areLinksKnown = (links: readonly HostLink[]): boolean => {
      const areKnown = reader.areLinksKnown(links);
      if (!areKnown) wrong = 'links';
      return areKnown;
    };
    const request = { turn, idle, lxcProxies: reader.lxcProxies, areLinksKnown };
    // Why a comparison fails is for a pass to find.
    return (await applier.isRight(this.#desired, request).catch(() => false)) ? undefined : wrong;
  }
}
