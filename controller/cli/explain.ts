/** `routewall explain`: the verdict about a flow, and the way to it. */
import type { Family } from '../../render/address.ts';
import {
  type Answer,
  answerQuestion,
  answerToJson,
  type LineAt,
  policyLines,
  QuestionError,
} from '../answer-question.ts';
import { assembleAsIfRunning } from '../as-if-running.ts';
import type { ExplainedStep, ExplainHost } from '../explain.ts';
import { CliError, EXIT } from './exit.ts';
import type { Colours } from './io.ts';
import type { Invocation } from './options.ts';
import { shownPath } from './print-problems.ts';
import { type CliHost, readHost } from './read-host.ts';
import { renderTable } from './table.ts';

export interface ExplainFlags {
  readonly from: string;
  readonly to: string;
  readonly service: string;
  /** Only this one. */
  readonly family: Family | undefined;
  readonly source: string | undefined;
}

export async function runExplain(invocation: Invocation, flags: ExplainFlags): Promise<number> {
  const { io, shared, colours } = invocation;
  const host = await readHost(invocation);
  const { desired, policies, network } = assembleAsIfRunning(host.inputs);
  const explainHost = { desired, policies, network, containers: host.inputs.containers };
  const lines = policyLines(host.files);
  const answers = answerOrRefuse(explainHost, host, flags, (file, line) => lines(file)[line - 1]);
  const [first] = answers;
  if (shared.json) {
    // JSON has one answer.
    io.out.write(`${JSON.stringify(answerToJson(first, shared.shown.policies), null, 2)}\n`);
    return first.verdict === 'allow' ? EXIT.fine : EXIT.no;
  }
  const broken = [...policies.values()].filter(({ status }) => status === 'last-good').map(({ file }) => file);
  io.out.write(
    answers.map((answer) => renderAnswer(answer, { colours, folder: shared.shown.policies, lines })).join('\n'),
  );
  if (broken.length > 0) io.err.write(`${broken.join(', ')}: has errors; answered by the last good policy\n`);
  return answers.every(({ verdict }) => verdict === 'allow') ? EXIT.fine : EXIT.no;
}

function answerOrRefuse(
  host: ExplainHost,
  { inputs }: CliHost,
  flags: ExplainFlags,
  lineAt: LineAt,
): readonly [Answer, ...Answer[]] {
  try {
    return answerQuestion(host, inputs.loaded.services, flags, lineAt);
  } catch (cause) {
    if (cause instanceof QuestionError) throw new CliError(EXIT.usage, cause.message, { cause });
    throw cause;
  }
}

interface Shown {
  readonly colours: Colours;
  readonly folder: string;
  readonly lines: (file: string) => readonly string[];
}

function renderAnswer(answer: Answer, shown: Shown): string {
  const { colours } = shown;
  const { verdict, service, steps } = answer;
  const word = verdict === 'allow' ? colours.green('allow') : colours.red(verdict);
  const rows = steps.map((step) => [`  ${markOf(step, colours)} ${step.at}`, whyOf(step, shown), placeOf(step, shown)]);
  return `${colours.bold(word)}  ${service}  ${endText(answer, 'from')} → ${endText(answer, 'to')}\n${renderTable(rows)}`;
}

function endText(answer: Answer, end: 'from' | 'to'): string {
  const name = answer[end].replace(/^container:/, '');
  const address = end === 'from' ? answer.source : answer.destination;
  return address === null || address === name ? name : `${name} (${address})`;
}

function markOf({ verdict }: ExplainedStep, colours: Colours): string {
  if (verdict === 'allow') return colours.green('✓');
  return verdict === 'log' ? colours.yellow('·') : colours.red('✗');
}

function whyOf({ rule, note, verdict }: ExplainedStep, { lines }: Shown): string {
  if (rule === null) return note ?? verdict;
  const text = wholeRule(lines(rule.file), rule.line) ?? rule.text;
  return note === undefined ? text : `${text}  (${note})`;
}

const placeOf = ({ rule }: ExplainedStep, { colours, folder }: Shown): string =>
  rule === null ? '' : colours.dim(`${shownPath(rule.file, folder)}:${rule.line}`);

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
