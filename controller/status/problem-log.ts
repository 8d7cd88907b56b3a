/** Problems in the log: each is told once when it comes, and once when it has gone. */
import { formatProblem, isError, type Problem } from '../../policies/problem.ts';
import { GONE } from '../apply/refused-lines.ts';
import type { HostReader } from '../host/host-reader.ts';
import type { Log } from '../log.ts';
import type { LogFields } from '../log-event.ts';
import { type Assembled, problemsOf } from '../pass/assemble.ts';
import type { Outcome } from '../pass/outcome.ts';
import { rememberLast } from '../remember.ts';
import { limitProblems } from '../traffic/limit-problems.ts';
import { sharedProblems } from './describe-status.ts';

interface Told {
  readonly level: 'error' | 'warning';
  readonly fields: Omit<LogFields, 'EVENT'>;
}

export class ProblemLog {
  readonly #log: Log;
  /** By the problem's text. */
  #known: ReadonlyMap<string, Told> = new Map();
  readonly #filesOf = rememberLast(problemsInFiles);

  constructor(log: Log) {
    this.#log = log;
  }

  get count(): number {
    return this.#known.size;
  }

  get errorCount(): number {
    return [...this.#known.values()].filter(({ level }) => level === 'error').length;
  }

  /** Nothing else is asked while these are what they were, and most passes find them so. */
  #inFiles({ assembled }: Outcome, reader: HostReader): readonly [string, Told][] {
    const { containers, policies, problems, unenforceable, wireProblems } = assembled;
    const ofContainers = [containers, policies, problems, unenforceable] as const;
    return this.#filesOf(...ofContainers, reader.loaded, reader.configProblems, wireProblems);
  }

  /** @returns those that weren't there before. */
  tell(outcome: Outcome, reader: HostReader): ReadonlyMap<string, Told['level']> {
    const found = new Map([
      ...this.#inFiles(outcome, reader),
      ...problemsInAnswers(outcome),
      ...problemsInKernel(outcome),
    ]);
    const before = this.#known;
    this.#known = found;
    const raised = new Map([...found].filter(([text]) => !before.has(text)));
    for (const [text, { level, fields }] of raised) this.#log(level, text, { ...fields, EVENT: 'problem' });
    for (const [text, { fields }] of before) {
      if (!found.has(text)) this.#log('info', `no longer: ${text}`, { ...fields, EVENT: 'solved' });
    }
    return new Map([...raised].map(([text, { level }]) => [text, level]));
  }
}

function problemsInFiles(
  containers: Assembled['containers'],
  policies: Assembled['policies'],
  problems: Assembled['problems'],
  unenforceable: Assembled['unenforceable'],
  ...[loaded, configProblems, wireProblems]: [
    loaded: HostReader['loaded'],
    configProblems: HostReader['configProblems'],
    wireProblems: Assembled['wireProblems'],
  ]
): [string, Told][] {
  const ofContainers: [string, Told][] = [];
  for (const container of containers)
    for (const problem of problemsOf({ policies, problems, unenforceable }, container))
      ofContainers.push(describe(problem, { CONTAINER: container.name }));
  const shared = [...configProblems, ...sharedProblems(loaded), ...wireProblems];
  return [...shared.map((problem) => describe(problem, {})), ...ofContainers];
}

const describe = (problem: Problem, fields: Told['fields']): [string, Told] => [
  formatProblem(problem),
  {
    level: isError(problem) ? 'error' : 'warning',
    fields: { ...fields, POLICY_FILE: problem.file, POLICY_LINE: String(problem.line) },
  },
];

const problemsInAnswers = ({ assembled }: Outcome): [string, Told][] =>
  [...assembled.ignoredAnswers].flatMap(([name, list]) =>
    list.map(({ address, why }): [string, Told] => [
      `dns:${name}: ${address} is ignored: it is ${why}`,
      { level: 'warning', fields: {} },
    ]),
  );

function problemsInKernel({ assembled, applied, traffic }: Outcome): [string, Told][] {
  const about = (key: string): Told => {
    const nic = assembled.desired.nics.get(key);
    return { level: 'error', fields: nic === undefined ? {} : { CONTAINER: nic.container, INTERFACE: nic.hostVeth } };
  };
  return [
    // What can't be held is a problem of the line that asks for it.
    ...[...applied.refused].map(([key, message]): [string, Told] => [
      `${key}: its rules are refused: ${message}; what it had before stays in force`,
      about(key),
    ]),
    // An interface that goes, or is down, takes its routes along: its own events tell of that.
    ...[...applied.unrouted]
      .filter(([, message]) => !GONE.test(message))
      .map(([key, message]): [string, Told] => [`${key}: ${message}`, about(key)]),
    ...(applied.enforced.wires ?? []).flatMap(({ name, a, b }) =>
      traffic
        .filter(({ dev }) => dev === a || dev === b)
        .map(({ why }): [string, Told] => [`wire ${name}: ${why}`, { level: 'error', fields: {} }]),
    ),
    ...(traffic.length === 0 ? [] : [...applied.enforced.nics.values()]).flatMap((nic) =>
      limitProblems(nic, traffic).map((problem) => describe(problem, { CONTAINER: nic.container })),
    ),
  ];
}
