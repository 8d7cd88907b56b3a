/** `routewall explain`: the verdict about a flow, and the way to it. */
import type { Family } from '../../render/address.ts';
import { describeAnswers, QuestionError } from '../answer-question.ts';
import { parseAnswers, type ToldAnswer, type ToldAnswers, type ToldStep } from '../told-answers.ts';
import { CliError, EXIT } from './exit.ts';
import type { Colours } from './io.ts';
import type { Invocation } from './options.ts';
import { readHost } from './read-host.ts';
import { askServing } from './serving-daemon.ts';
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
  const args = [flags.from, flags.to, flags.service, flags.family ?? 0, flags.source ?? ''];
  const told = (await askServing(invocation, 'Explain', args, parseAnswers)) ?? (await explainHost(invocation, flags));
  const { answers, lastGood } = told;
  if (shared.json) {
    // JSON has one answer, and of each rule its line.
    const withoutWhole = (key: string, value: unknown): unknown => (key === 'whole' ? undefined : value);
    io.out.write(`${JSON.stringify(answers[0].json, withoutWhole, 2)}\n`);
    return answers[0].verdict === 'allow' ? EXIT.fine : EXIT.no;
  }
  io.out.write(answers.map((answer) => renderAnswer(answer, colours)).join('\n'));
  if (lastGood.length > 0) io.err.write(`${lastGood.join(', ')}: has errors; answered by the last good policy\n`);
  return answers.every(({ verdict }) => verdict === 'allow') ? EXIT.fine : EXIT.no;
}

async function explainHost(invocation: Invocation, flags: ExplainFlags): Promise<ToldAnswers> {
  const host = await readHost(invocation);
  try {
    // Through the same words as the daemon's answer, so that both say the same.
    return parseAnswers({ value: describeAnswers(host, flags, invocation.shared.shown.policies), path: '' });
  } catch (cause) {
    if (cause instanceof QuestionError) throw new CliError(EXIT.usage, cause.message, { cause });
    throw cause;
  }
}

function renderAnswer(answer: ToldAnswer, colours: Colours): string {
  const { verdict, service, steps } = answer;
  const word = verdict === 'allow' ? colours.green('allow') : colours.red(verdict);
  const rows = steps.map((step) => [`  ${markOf(step, colours)} ${step.at}`, whyOf(step), placeOf(step, colours)]);
  return `${colours.bold(word)}  ${service}  ${endText(answer, 'from')} → ${endText(answer, 'to')}\n${renderTable(rows)}`;
}

function endText(answer: ToldAnswer, end: 'from' | 'to'): string {
  const name = answer[end].replace(/^container:/, '');
  const address = end === 'from' ? answer.source : answer.destination;
  return address === null || address === name ? name : `${name} (${address})`;
}

function markOf({ verdict }: ToldStep, colours: Colours): string {
  if (verdict === 'allow') return colours.green('✓');
  return verdict === 'log' ? colours.yellow('·') : colours.red('✗');
}

function whyOf({ rule, note, verdict }: ToldStep): string {
  if (rule === null) return note ?? verdict;
  return note === undefined ? rule.whole : `${rule.whole}  (${note})`;
}

const placeOf = ({ rule }: ToldStep, colours: Colours): string =>
  rule === null ? '' : colours.dim(`${rule.file}:${rule.line}`);
