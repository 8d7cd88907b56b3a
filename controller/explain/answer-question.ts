/** Questions about flows as users write them, answered for every packet that the words stand for. */
import type { PolicyFiles } from '../../policies/policy-files.ts';
import type { ServiceTable } from '../../policies/service-table.ts';
import { maxStructuredBytes, readSourceText } from '../../policies/source-text.ts';
import { type Address, type Family, familyOf, parseAddress } from '../../render/address.ts';
import { type AskedService, parseAskedService } from '../cli/asked-service.ts';
import { shownPath } from '../cli/print-problems.ts';
import { suggestContainer } from '../host/suggest-container.ts';
import { heldBy } from '../iptables/unsayable-nics.ts';
import type { PanicState } from '../panic/panic-state.ts';
import type { Assembled, HostInputs } from '../pass/assemble.ts';
import { type ExplainHost, type Explanation, explainFlow } from './explain.ts';
import type { ExplainedRule } from './explained-step.ts';
import { type FlowParty, familiesOf, parseParty } from './flow-parties.ts';

export interface Question {
  /** `container:NAME`, `host`, or an address. */
  readonly from: string;
  readonly to: string;
  /** As in a policy, with exact ports. */
  readonly service: string;
  /** Only this one. */
  readonly family?: Family | undefined;
  /** What the sender takes for its address, if not its own. */
  readonly source?: string | undefined;
}

export interface Answer extends Explanation {
  readonly service: string;
}

/** The question makes no sense; the message says what would. */
export class QuestionError extends Error {
  override readonly name = 'QuestionError';
}

/** What stands at a place of a policy file, where it is known. */
export type LineAt = (file: string, line: number) => string | undefined;

/** All services of one family, then of the other; at least one. @throws QuestionError */
function answerQuestion(
  host: ExplainHost,
  services: ServiceTable,
  question: Question,
  lineAt: LineAt,
): readonly [Answer, ...Answer[]] {
  const from = readParty(question.from, '--from', host);
  const to = readParty(question.to, '--to', host);
  if (from.kind === 'address' && to.kind === 'address' && familyOf(from.address) !== familyOf(to.address))
    throw new QuestionError(`--from ${question.from} and --to ${question.to} are of two families: no packet has both`);
  const source = question.source === undefined ? undefined : readAddress(question.source);
  const asked = parseAskedService(question.service, services);
  if (typeof asked === 'string') throw new QuestionError(asked);
  const families = question.family === undefined ? familiesFor(host, from, to, source) : [question.family];
  const [first, ...more] = families.flatMap((family) =>
    asked
      .filter((service) => (service.family ?? family) === family)
      .map((service) => ({
        ...explainFlow(
          host,
          { from, to, family, ...packetOf(service), ...(source === undefined ? {} : { source }) },
          lineAt,
        ),
        service: service.label,
      })),
  );
  if (first === undefined) throw new QuestionError(`IPv${families[0]}: ${question.service} is of the other family`);
  return [first, ...more];
}

function packetOf({ protocol, port, icmpType }: AskedService) {
  return {
    protocol,
    ...(port === undefined ? {} : { port }),
    ...(icmpType === undefined ? {} : { icmpType }),
  };
}

function readParty(text: string, option: string, { containers }: ExplainHost): FlowParty {
  const party = parseParty(text);
  const names = containers.map(({ name }) => name);
  if (typeof party === 'string') {
    const meant = names.includes(text) ? `; did you mean container:${text}?` : '';
    throw new QuestionError(`${option} ${party}${meant}`);
  }
  if (party.kind === 'container' && !names.includes(party.name)) {
    throw new QuestionError(`${option} ${text}: there is no such container${suggestContainer(party.name, names)}`);
  }
  return party;
}

function readAddress(text: string): Address {
  const address = parseAddress(text);
  if (address === undefined) throw new QuestionError(`--source ${text}: no address`);
  return address;
}

/** Those that both ends have; where they have none in common, the answer says so. */
function familiesFor(host: ExplainHost, from: FlowParty, to: FlowParty, source: Address | undefined): Family[] {
  const ours = source === undefined ? familiesOf(host, from) : [familyOf(source)];
  const theirs = familiesOf(host, to);
  const common = ours.filter((family) => theirs.includes(family));
  if (common.length > 0) return common;
  return [theirs[0] ?? ours[0] ?? 4];
}

/** A rule of several lines on one: those that follow and stand further in. */
function wholeRule(lines: readonly string[], line: number): string | undefined {
  const first = lines[line - 1];
  if (first === undefined) return undefined;
  const indent = first.search(/\S/);
  const rest: string[] = [];
  for (const next of lines.slice(line, line + 6)) {
    if (next.trim() === '' || next.search(/\S/) <= indent) break;
    if (!next.trim().startsWith('#')) rest.push(next.trim());
  }
  return [first.trim().replace(/^- /, ''), ...rest].join('  ');
}

type Lines = (file: string) => readonly string[];

/** The lines of each policy file; each is split once. */
function policyLines(files: PolicyFiles): Lines {
  const known = new Map<string, readonly string[]>();
  return (file) => {
    const before = known.get(file);
    if (before !== undefined) return before;
    const content = files.get(file);
    const source = content === undefined ? undefined : readSourceText(content, maxStructuredBytes);
    const lines = source !== undefined && 'text' in source ? source.text.split(/\r?\n/) : [];
    known.set(file, lines);
    return lines;
  };
}

export interface Asked {
  readonly files: PolicyFiles;
  readonly inputs: HostInputs;
  /** See assembleAsIfRunning. */
  readonly assembled: Assembled;
  readonly panic: PanicState;
  /** As in FlowHost. */
  readonly guardedWays: ReadonlyMap<Address, string>;
}

/**
 * All answers, as D-Bus tells them; what is stopped is answered for as if it ran. `folder` as in `answerToJson`.
 * @throws QuestionError
 */
export function describeAnswers(
  { files, inputs, assembled, panic, guardedWays }: Asked,
  question: Question,
  folder: string,
): unknown {
  const { desired, policies, network } = assembled;
  const { unheld } = heldBy(inputs.backend ?? inputs.config.backend, desired);
  const host = { desired, policies, network, containers: inputs.containers, panic, unheld, guardedWays };
  const lines = policyLines(files);
  const answers = answerQuestion(host, inputs.loaded.services, question, (file, line) => lines(file)[line - 1]);
  return {
    answers: answers.map((answer) => answerToJson(answer, folder, lines)),
    lastGood: inputs.containers
      .flatMap(({ id }) => policies.get(id) ?? [])
      .flatMap(({ status, file }) => (status === 'last-good' ? [file] : [])),
  };
}

/** What `explain --json` prints, and beside each rule's `text`, its line, the `whole` of it; `folder` is the policies', as the user knows it. */
function answerToJson({ steps, verdict, from, to, service, ...rest }: Answer, folder: string, lines: Lines): unknown {
  return {
    verdict,
    from,
    to,
    service,
    ...rest,
    steps: steps.map(({ at, verdict: said, rule, ...more }) => ({
      at,
      verdict: said,
      rule: rule === null ? null : ruleToJson(rule, folder, lines),
      ...more,
    })),
  };
}

function ruleToJson(rule: ExplainedRule, folder: string, lines: Lines): unknown {
  const { file, line } = rule;
  return { ...rule, file: shownPath(file, folder), whole: wholeRule(lines(file), line) ?? rule.text };
}
