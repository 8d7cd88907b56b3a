/** Keeps each change that was followed as a revision, a moment after it is in force: a burst of edits is one. */
import type { PolicyFiles } from '../../policies/policy-files.ts';
import type { DesiredState } from '../../render/desired.ts';
import { tellChanges } from '../explain/describe-changes.ts';
import { type Log, messageOf } from '../log.ts';
import type { Report } from '../status/report.ts';
import { brokenFiles } from './broken-files.ts';
import { readFlowsBetween } from './flows-between.ts';
import { describeFiles } from './revision.ts';
import type { Revisions } from './revisions.ts';

const DELAY_MS = 1000;

export interface FollowedKeeper {
  /** After each pass. */
  observe(report: Report): void;
  /** Now, what still waits. */
  flush(): Promise<void>;
  /** Whether the disk refused the last one. */
  readonly isRefused: boolean;
}

export function createFollowedKeeper(revisions: Revisions, log: Log): FollowedKeeper {
  let latest: Report | undefined;
  /** As the last pass had them; the reader itself is the same one all the time. */
  let seen: PolicyFiles | undefined;
  /** In force before the first edit that waits to be kept. */
  let before: DesiredState | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isRefused = false;
  let complaint: string | undefined;
  let keeping: Promise<void> = Promise.resolve();

  async function keep(): Promise<void> {
    if (latest === undefined) return;
    const { outcome: kept, reader } = latest;
    const { loaded } = reader;
    try {
      const old = before;
      const record = await revisions.keep();
      isRefused = false;
      complaint = undefined;
      if (record === undefined) return;
      log('info', `revision ${record.number} is kept: ${describeFiles(record.files)}`);
      const broken = brokenFiles(kept.assembled);
      // After a start nobody knows what there was before.
      if (old === undefined) return await revisions.book.amend(record.number, { broken });
      const flows = readFlowsBetween(old, kept.applied.enforced, kept.assembled, loaded);
      await revisions.book.amend(record.number, { broken, flows: tellChanges(flows).map(({ text }) => text) });
    } catch (cause) {
      // The kernel has it all the same; the next pass tries again.
      isRefused = true;
      const message = messageOf(cause);
      // It may go on failing in the same way.
      if (message !== complaint) log('error', `revisions: ${message}`);
      complaint = message;
    }
  }

  const flush = async (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    keeping = keeping.then(keep);
    await keeping;
  };

  return {
    observe: (report) => {
      const { files } = report.reader;
      const isNew = files !== seen;
      seen = files;
      latest = report;
      if ((!isNew && !isRefused) || timer !== undefined) return;
      if (!isRefused) before = report.outcome.before;
      timer = setTimeout(() => void flush(), DELAY_MS);
    },
    flush,
    get isRefused() {
      return isRefused;
    },
  };
}
