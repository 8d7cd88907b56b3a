/** What the methods on D-Bus do: the same answers as the command line's, from what the daemon knows already. */
import type { Problem } from '../../policies/problem.ts';
import { BusError } from '../../watchers/system-bus.ts';
import { type CurrentSession, Refused, refresh, UnknownContainer } from '../admission.ts';
import type { Run } from '../commands/run.ts';
import { NotReady } from '../control/admissions.ts';
import type { Controls } from '../control/controls.ts';
import { QuestionError } from '../explain/answer-question.ts';
import { type KernelAtPeace, KnownRight } from '../kernel/known-right.ts';
import { messageOf } from '../log.ts';
import { OrderRefused } from '../revisions/revisions.ts';
import { SessionEnded } from '../session/session-ended.ts';
import type { StatusFile } from '../status/status-shape.ts';
import { describeCheck, describeList, explainKnown, type Known, readComparison, readPreview } from './answers.ts';
import type { ArgumentValue, Methods } from './dispatch.ts';

export interface MethodOptions {
  readonly session: CurrentSession;
  /** `undefined` before the first pass. */
  readonly known: () => Known | undefined;
  readonly status: () => Promise<StatusFile | undefined>;
  /** Of the main configuration's file as it is now. */
  readonly configProblems: () => Promise<readonly Problem[]>;
  readonly policyFolder: string;
  readonly controls: Controls;
  /** For what only reads. */
  readonly run: Run;
  readonly kernel: KernelAtPeace;
}

const error = (name: string, cause: unknown): BusError =>
  new BusError(`org.routewall.Error.${name}`, messageOf(cause), { cause });

export function createMethods(options: MethodOptions): Methods {
  const { policyFolder, controls } = options;
  // It lists the kernel and loads a whole ruleset: whoever asks meanwhile gets the same answer.
  const right = new KnownRight(options.kernel);
  const preview = shared(async () => readPreview(options.run, requireKnown(options), { folder: policyFolder, right }));
  const comparison = shared(async () => readComparison(options.run, requireKnown(options), right));
  /** What is known once all that was saved before the call has been read. */
  const readKnown = async (): Promise<Known> => {
    await refresh(options.session).catch((cause: unknown) => {
      throw toBusError(cause);
    });
    return requireKnown(options);
  };
  return {
    Status: async () => {
      const status = await options.status();
      if (status === undefined) throw notReady();
      return JSON.stringify(status);
    },
    List: async () => JSON.stringify(describeList(await readKnown(), policyFolder)),
    Check: async (names) => {
      const known = await readKnown();
      return JSON.stringify(describeCheck(known, await options.configProblems(), policyFolder, namesOf(names)));
    },
    Preview: async (names) => {
      await readKnown();
      const answer = await preview().catch((cause: unknown) => Promise.reject(error('Failed', cause)));
      return JSON.stringify(answer(namesOf(names)));
    },
    Compare: async () => {
      await readKnown();
      return JSON.stringify(await comparison().catch((cause: unknown) => Promise.reject(error('Failed', cause))));
    },
    Explain: async (from, to, service, family, source) => {
      const question = {
        ...{ from: String(from), to: String(to), service: String(service) },
        family: family === 4 || family === 6 ? family : undefined,
        source: source === '' ? undefined : String(source),
      } as const;
      const known = await readKnown();
      try {
        return JSON.stringify(await explainKnown(options.run, known, question, policyFolder));
      } catch (cause) {
        throw cause instanceof QuestionError ? error('InvalidQuestion', cause) : cause;
      }
    },
    Apply: (seconds) => ordered(controls.apply(seconds === 0 ? undefined : Number(seconds), 'root')),
    Confirm: () => ordered(controls.confirm()),
    Rollback: (revision) => ordered(controls.rollback(revision === 0 ? undefined : Number(revision), 'root')),
    Panic: (on, names) => ordered(controls.panic(on === true, namesOf(names), 'root')),
    Admit: (container, veth, initPid) =>
      ordered(controls.admit({ container: String(container), veth: String(veth), initPid: Number(initPid) })),
    Release: async (container, veth) => {
      await ordered(controls.release(String(container), String(veth)));
      return undefined;
    },
  };
}

async function ordered(order: Promise<unknown>): Promise<string> {
  const done = await order.catch((cause: unknown) => {
    throw toBusError(cause);
  });
  return JSON.stringify(done);
}

const namesOf = (argument: ArgumentValue | undefined): readonly string[] =>
  typeof argument === 'object' ? argument : [];

const notReady = (): BusError => error('NotReady', new NotReady());

function requireKnown({ known }: MethodOptions): Known {
  const now = known();
  if (now === undefined) throw notReady();
  return now;
}

function toBusError(cause: unknown): BusError {
  if (cause instanceof Refused || cause instanceof OrderRefused) return error('Refused', cause);
  if (cause instanceof UnknownContainer) return error('UnknownContainer', cause);
  if (cause instanceof SessionEnded || cause instanceof NotReady) return error('NotReady', cause);
  return error('Failed', cause);
}

/** Whoever asks while it runs gets the answer of a run that began after the question. */
function shared<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  let next: Promise<T> | undefined;
  const start = (): Promise<T> => {
    running = work().finally(() => {
      running = undefined;
    });
    return running;
  };
  return () => {
    if (running === undefined) return start();
    next ??= running.then(ignore, ignore).then(() => {
      next = undefined;
      return start();
    });
    return next;
  };
}

const ignore = (): void => undefined;
