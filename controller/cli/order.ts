/** What `apply`, `confirm` and `rollback` have in common: the order goes to the daemon, and its answer is told. */
import { userInfo } from 'node:os';
import type { Problem } from '../../policies/problem.ts';
import { askControl, NoDaemon, OrderFailed } from '../control/ask-control.ts';
import type { Request } from '../control/requests.ts';
import type { ToldChange } from '../explain/describe-changes.ts';
import { asBoolean, asList, asText, fieldsOf, type Placed } from '../json-shape.ts';
import { describeWaiting } from '../revisions/describe-waiting.ts';
import { parseRevisionView, type RevisionView } from '../revisions/revision-view.ts';
import { parseProblem } from '../status/parse-status.ts';
import { CliError, EXIT } from './exit.ts';
import type { Colours } from './io.ts';
import type { Invocation } from './options.ts';
import { printProblems } from './print-problems.ts';

export interface OrderAnswer extends RevisionView {
  readonly changed: boolean;
  readonly files: readonly string[];
  readonly words: readonly ToldChange[];
  readonly problems: readonly Problem[];
}

/** Sends it and prints what it came to. @returns the exit status. @throws CliError */
export async function order(
  invocation: Invocation,
  request: Request,
  tell: (answer: OrderAnswer) => string,
): Promise<number> {
  const { io, shared, colours, errColours } = invocation;
  const placed = await ask(shared.runtimeDirectory, request);
  const answer = parseAnswer(placed);
  if (shared.json) io.out.write(`${JSON.stringify(placed.value, null, 2)}\n`);
  else io.out.write(`${[tell(answer), ...changes(answer, colours)].join('\n')}\n`);
  printProblems(io.err, errColours, answer.problems);
  return answer.problems.length > 0 ? EXIT.no : EXIT.fine;
}

/** The user who stands behind root. */
export const orderedBy = (env: Readonly<Record<string, string | undefined>>): string =>
  env['SUDO_USER'] ?? userInfo().username;

async function ask(runDirectory: string, request: Request): Promise<Placed> {
  try {
    return await askControl(runDirectory, request);
  } catch (cause) {
    if (cause instanceof NoDaemon) {
      throw new CliError(EXIT.refused, 'no daemon runs that could do it: start it: systemctl start routewall', {
        cause,
      });
    }
    if (cause instanceof OrderFailed) {
      throw new CliError(cause.refused ? EXIT.no : EXIT.refused, cause.message, { cause });
    }
    throw cause;
  }
}

function parseAnswer(of: Placed): OrderAnswer {
  const field = fieldsOf(of);
  const files = fieldsOf(field('files'));
  const paths = (key: string, sign: string): string[] => asList(files(key)).map((path) => `${sign}${asText(path)}`);
  return {
    ...parseRevisionView(of),
    changed: asBoolean(field('changed')),
    files: [...paths('added', '+'), ...paths('changed', ''), ...paths('removed', '-')],
    words: asList(field('words')).map(parseWords),
    problems: asList(field('problems')).map(parseProblem),
  };
}

function parseWords(of: Placed): ToldChange {
  const field = fieldsOf(of);
  return { text: asText(field('text')), opens: asBoolean(field('opens')) };
}

function changes({ files, words, changed, waiting, reason }: OrderAnswer, colours: Colours): string[] {
  const told = words.map(({ text, opens }) => (opens ? colours.green(`  ${text}`) : colours.red(`  ${text}`)));
  return [
    ...(files.length > 0 ? [`files: ${files.join(', ')}`] : []),
    ...(told.length > 0 ? [colours.bold('in words:'), ...told] : []),
    ...(changed && told.length === 0 ? ['no flow of a running container changes'] : []),
    ...(reason === null ? [] : [colours.yellow(describeWaiting(waiting, reason))]),
  ];
}

/** `revision 7` */
export const revisionText = ({ inForce }: Pick<RevisionView, 'inForce'>): string =>
  inForce === null ? 'no revision' : `revision ${inForce}`;

/** `60`, `60s`, `5m`, `1h`. @throws CliError */
export function parseSeconds(text: string): number {
  const [, digits, unit = 's'] = /^([0-9]{1,6})(s|m|h)?$/.exec(text) ?? [];
  const seconds = Number(digits) * { s: 1, m: 60, h: 3600 }[unit === 'm' || unit === 'h' ? unit : 's'];
  if (seconds >= 1 && seconds <= 86_400) return seconds;
  throw new CliError(EXIT.usage, `"${text}" is no time to wait: write 60s, 5m or 1h, at most 24h`);
}

/** @throws CliError */
export function parseRevisionNumber(text: string): number {
  if (/^[1-9][0-9]{0,9}$/.test(text)) return Number(text);
  throw new CliError(EXIT.usage, `"${text}" is no revision: routewall history lists their numbers`);
}
