/** What the methods on D-Bus do: the same answers as the command line's, from what the daemon knows already. */
import { basename } from 'node:path';
import { checkPolicies } from '../../policies/check-policies.ts';
import { type Problem, uniqueProblems } from '../../policies/problem.ts';
import { BusError } from '../../watchers/system-bus.ts';
import { type Admitted, admit, type CurrentSession, Refused, release, UnknownContainer } from '../admission.ts';
import { answerQuestion, answerToJson, policyLines, QuestionError } from '../answer-question.ts';
import { assembleAsIfRunning } from '../as-if-running.ts';
import type { Assembled } from '../assemble.ts';
import { problemsOf } from '../assemble.ts';
import { placeProblems } from '../cli/print-problems.ts';
import type { HostReader } from '../host-reader.ts';
import { compareWithKernel } from '../kernel-comparison.ts';
import { listContainer } from '../list-containers.ts';
import { messageOf } from '../log.ts';
import type { Run } from '../run.ts';
import { SessionEnded } from '../session.ts';
import type { StatusFile } from '../status-file.ts';
import type { Methods } from './dispatch.ts';

/** What the daemon knows after its last pass. */
export interface Known {
  readonly reader: HostReader;
  readonly assembled: Assembled;
}

export interface MethodOptions {
  readonly session: CurrentSession;
  /** `undefined` before the first pass. */
  readonly known: () => Known | undefined;
  readonly status: () => Promise<StatusFile | undefined>;
  /** Of the main configuration's file as it is now. */
  readonly configProblems: () => Promise<readonly Problem[]>;
  readonly policyFolder: string;
  readonly run: Run;
  readonly onAdmitted: (admitted: Admitted) => void;
  readonly onRefused: (container: string, reason: string) => void;
}

const error = (name: string, cause: unknown): BusError =>
  new BusError(`org.routewall.Error.${name}`, messageOf(cause), { cause });

export function createMethods(options: MethodOptions): Methods {
  const { policyFolder } = options;
  // It lists the kernel and loads a whole ruleset: whoever asks meanwhile gets the same answer.
  const preview = shared(async () => describePreview(options, requireKnown(options)));
  return {
    Status: async () => {
      const status = await options.status();
      if (status === undefined) throw notReady();
      return JSON.stringify(status);
    },
    List: async () => JSON.stringify(describeList(requireKnown(options), policyFolder)),
    Check: async () => JSON.stringify(await describeCheck(options, requireKnown(options))),
    Preview: async () => JSON.stringify(await preview()),
    Explain: async (from, to, service) => {
      const question = { from: String(from), to: String(to), service: String(service) };
      return JSON.stringify(explain(requireKnown(options), question, policyFolder));
    },
    Admit: async (container, veth, initPid) => {
      const request = { container: String(container), veth: String(veth), initPid: Number(initPid) };
      const admitted = await admit(options.session, request).catch((cause: unknown) => {
        // Whatever the reason: the hook lets nobody start who isn't admitted.
        options.onRefused(basename(request.container), messageOf(cause));
        throw toBusError(cause);
      });
      options.onAdmitted(admitted);
      return JSON.stringify(admitted);
    },
    Release: async (container, veth) => {
      await release(options.session, String(container), String(veth)).catch((cause: unknown) => {
        throw toBusError(cause);
      });
      return undefined;
    },
  };
}

const notReady = (): BusError => error('NotReady', 'the daemon has not read the host yet');

function requireKnown({ known }: MethodOptions): Known {
  const now = known();
  if (now === undefined) throw notReady();
  return now;
}

function toBusError(cause: unknown): BusError {
  if (cause instanceof Refused) return error('Refused', cause);
  if (cause instanceof UnknownContainer) return error('UnknownContainer', cause);
  if (cause instanceof SessionEnded) return error('NotReady', cause);
  return error('Failed', cause);
}

function describeList({ reader, assembled }: Known, folder: string): unknown {
  const { veths } = reader.inputs();
  return [...reader.known.values()]
    .sort((a, b) => (a.container.id < b.container.id ? -1 : 1))
    .map(({ container, lxc, runtime }) => listContainer({ container, lxc, state: runtime.state, veths }, assembled))
    .map((listed) => ({
      ...listed,
      policy: { ...listed.policy, file: listed.policy.file === null ? null : `${folder}/${listed.policy.file}` },
      problems: placeProblems(listed.problems, folder),
    }));
}

async function describeCheck(options: MethodOptions, { reader, assembled }: Known): Promise<readonly Problem[]> {
  const inContainers = [...reader.known.values()]
    .filter(
      ({ container, lxc }) =>
        container.endpoints.length > 0 || reader.loaded.containers.has(container.name) || !lxc.loadable,
    )
    .flatMap(({ container }) => problemsOf(assembled, container));
  const inPolicies = checkPolicies({ loaded: reader.loaded, book: assembled.book, now: Date.now() });
  const all = uniqueProblems([...(await options.configProblems()), ...inPolicies, ...inContainers]);
  return placeProblems(all, options.policyFolder);
}

async function describePreview({ run }: MethodOptions, { assembled }: Known): Promise<unknown> {
  const comparison = await compareWithKernel(run, assembled.desired).catch((cause: unknown) => {
    throw error('Failed', cause);
  });
  const { changed, ruleset, routes, neighbourProxies, gateways } = comparison;
  return { changed, ruleset, routes, neighbourProxies, gateways };
}

function explain({ reader }: Known, question: Parameters<typeof answerQuestion>[2], folder: string): unknown {
  const inputs = reader.inputs();
  const { desired, policies, network } = assembleAsIfRunning(inputs);
  const lines = policyLines(reader.files);
  try {
    const [first] = answerQuestion(
      { desired, policies, network, containers: inputs.containers },
      inputs.loaded.services,
      question,
      (file, line) => lines(file)[line - 1],
    );
    return answerToJson(first, folder);
  } catch (cause) {
    if (cause instanceof QuestionError) throw error('InvalidQuestion', cause);
    throw cause;
  }
}

/** One run at a time, for all who ask while it runs. */
function shared<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= work().finally(() => {
      running = undefined;
    });
    return running;
  };
}
