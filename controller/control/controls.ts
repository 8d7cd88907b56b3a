/** What root may order of the running daemon, whichever way the order comes in. */
import type { Problem } from '../../policies/problem.ts';
import { UnknownContainer, withSession } from '../admission.ts';
import { placeProblems } from '../cli/print-problems.ts';
import { type FlowRow, flowRows, type ToldChange, tellChanges } from '../explain/describe-changes.ts';
import { suggestContainer } from '../host/suggest-container.ts';
import type { Panic } from '../panic/panic.ts';
import { type PanicOrder, PanicRefused, type PanicView, viewPanic } from '../panic/panic-state.ts';
import { brokenFiles, errorsOf } from '../revisions/broken-files.ts';
import { readFlowsBetween } from '../revisions/flows-between.ts';
import { allPaths, type ChangedFiles, diffFiles, digestOf } from '../revisions/revision.ts';
import type { RevisionView } from '../revisions/revision-view.ts';
import { type Order, OrderRefused, type Revisions } from '../revisions/revisions.ts';
import { type AdmissionOptions, type Admissions, createAdmissions } from './admissions.ts';

/** A day: an administrator who isn't back by then doesn't need the way in. */
const MAX_CONFIRM_S = 86_400;

/** What an order came to. */
export interface Ordered extends RevisionView {
  readonly changed: boolean;
  /** Between what was in force and what is. */
  readonly files: ChangedFiles;
  readonly flows: readonly FlowRow[];
  /** The same for people. */
  readonly words: readonly ToldChange[];
  /** Errors in what is in force; what they concern keeps its last good policy. */
  readonly problems: readonly Problem[];
}

export interface Controls extends Admissions {
  /** @throws OrderRefused, Error where the pass failed */
  apply(confirmSeconds: number | undefined, by: string): Promise<Ordered>;
  confirm(): Promise<Ordered>;
  rollback(to: number | undefined, by: string): Promise<Ordered>;
  /** In force when it returns. `containers`: by name; empty: all. @throws OrderRefused, Error where it isn't for good. */
  panic(on: boolean, containers: readonly string[], by: string): Promise<Panicked>;
}

export interface Panicked extends PanicView {
  readonly changed: boolean;
}

export interface ControlOptions extends AdmissionOptions {
  readonly revisions: Revisions;
  readonly panic: Panic;
  /** A panic began or ended. */
  readonly onPanic: () => void;
  readonly policyFolder: string;
}

export function createControls(options: ControlOptions): Controls {
  // One order at a time: each shall say what it did itself.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = (order: Order): Promise<Ordered> => {
    const done = last.then(() => carryOut(options, order));
    last = done.catch(() => undefined);
    return done;
  };
  return {
    ...createAdmissions(options),
    apply: async (confirmSeconds, by) => {
      if (confirmSeconds !== undefined && !isCount(confirmSeconds, MAX_CONFIRM_S))
        throw new OrderRefused(`a confirmation can be waited for 1 to ${MAX_CONFIRM_S} seconds`);
      return await inTurn({ kind: 'apply', confirmSeconds, by: shownName(by) });
    },
    confirm: () => inTurn({ kind: 'confirm' }),
    rollback: async (to, by) => {
      if (to !== undefined && !isCount(to, Number.MAX_SAFE_INTEGER)) throw new OrderRefused(`${to} is no revision`);
      return await inTurn({ kind: 'rollback', to, by: shownName(by) });
    },
    // Without a turn: it waits neither for an order nor for a pass.
    panic: (on, containers, by) => turnPanic(options, { on, containers, by: shownName(by) }),
  };
}

const isCount = (value: number, most: number): boolean => Number.isSafeInteger(value) && value >= 1 && value <= most;

/** It goes into files and onto terminals. */
const shownName = (by: string): string => (/^[\w.@ -]{1,64}$/.test(by) ? by : 'root');

async function turnPanic({ session, panic, onPanic }: ControlOptions, order: PanicOrder): Promise<Panicked> {
  const known = new Set([...(session()?.reconciler.reader.known.values() ?? [])].map(({ name }) => name));
  // While nothing is known a container may well exist; and one that is gone may be sealed still.
  const unknown = order.containers.filter((name) => known.size > 0 && !known.has(name) && order.on);
  for (const name of unknown)
    throw new UnknownContainer(`there is no container "${name}"${suggestContainer(name, [...known])}`);
  try {
    const changed = await panic.order(order);
    return { ...viewPanic(panic.state), changed };
  } catch (cause) {
    throw cause instanceof PanicRefused ? new OrderRefused(cause.message, { cause }) : cause;
  } finally {
    onPanic();
  }
}

async function carryOut({ session, revisions, policyFolder }: ControlOptions, order: Order): Promise<Ordered> {
  return await withSession(session, async (present) => {
    const { reader } = present.reconciler;
    const filesBefore = reader.files;
    const outcome = await present.carryOut(order);
    if (outcome.choice.refusal !== undefined) throw outcome.choice.refusal;
    const files = diffFiles(filesBefore, outcome.choice.files);
    const changed = allPaths(files).length > 0;
    const { before, applied, assembled } = outcome;
    const flows = changed ? readFlowsBetween(before, applied.enforced, assembled, reader.loaded) : [];
    const words = tellChanges(flows);
    const record = revisions.book.current?.record;
    if (record?.flows === null && record.digest === digestOf(outcome.choice.files))
      await revisions.book.amend(record.number, {
        flows: words.map(({ text }) => text),
        broken: brokenFiles(assembled),
      });
    const problems = placeProblems(errorsOf(assembled), policyFolder);
    return { ...revisions.view, changed, files, flows: flowRows(flows), words, problems };
  });
}
