/** `routewall explain`: the verdict about a flow, and the way to it. */
import type { Family } from '../../render/address.ts';
import { abortable } from '../commands/reading.ts';
import { addressesBeyond, type ForeignJudgement, type ForeignVerdict, judgeFlow } from '../doctor/foreign-flow.ts';
import { type ForeignRules, readForeignRules } from '../doctor/read-foreign.ts';
import { readSysctls } from '../doctor/read-host-facts.ts';
import { describeAnswers, QuestionError } from '../explain/answer-question.ts';
import { readGuardedWays } from '../explain/guarded-ways.ts';
import { asObject, placed } from '../json-shape.ts';
import { readWaysTo } from '../kernel/observe-uplinks.ts';
import { assembleAsIfRunning } from '../pass/as-if-running.ts';
import type { Assembled } from '../pass/assemble.ts';
import { parseAnswers, type ToldAnswer, type ToldAnswers, type ToldStep } from '../status/told-answers.ts';
import { CliError, describeFailure, EXIT } from './exit.ts';
import type { Colours } from './io.ts';
import type { Invocation } from './options.ts';
import { type CliHost, readAllInForce, readHost } from './read-host.ts';
import { askServing, describeNotInForce } from './serving-daemon.ts';
import { renderTable } from './table.ts';

export interface ExplainFlags {
  readonly from: string;
  readonly to: string;
  readonly service: string;
  /** Only this one. */
  readonly family: Family | undefined;
  readonly source: string | undefined;
  /** Not as the files are saved. */
  readonly inForce: boolean;
}

export async function runExplain(invocation: Invocation, flags: ExplainFlags): Promise<number> {
  const ending = new AbortController();
  try {
    return await answer(invocation, flags, beginForeign(invocation, ending.signal));
  } finally {
    // What came to no end by now nobody waits for.
    ending.abort();
  }
}

async function answer(
  invocation: Invocation,
  flags: ExplainFlags,
  rules: Promise<ForeignRules> | undefined,
): Promise<number> {
  const { io, shared, colours } = invocation;
  const args = [flags.from, flags.to, flags.service, flags.family ?? 0, flags.source ?? ''];
  const readOnce = rememberHost(invocation, flags);
  // The daemon answers by the files as they are saved.
  const served = flags.inForce ? undefined : await askServing(invocation, 'Explain', args, parseAnswers);
  const told = served ?? (await explainHost(await readOnce(), invocation, flags));
  const { answers, lastGood } = told;
  const foreign = await judgeForeign(invocation, answers, readOnce, rules);
  const fine = answers.every((answer, index) => isFine(answer, foreign[index]));
  if (shared.json) io.out.write(`${toJson(told, foreign)}\n`);
  else {
    const texts = answers.map((answer, index) => renderAnswer(answer, foreign[index] ?? NOTHING, colours));
    io.out.write(texts.join('\n'));
  }
  if (!shared.json && lastGood.length > 0)
    io.err.write(`${lastGood.join(', ')}: has errors; answered by the last good policy\n`);
  const waiting = flags.inForce ? undefined : await describeNotInForce(invocation);
  if (waiting !== undefined) io.err.write(`answered by the files as they are saved: ${waiting}\n`);
  return fine ? EXIT.fine : EXIT.no;
}

/** The first answer's keys are at the top too, for programs that know of no others; of each rule there is its line. */
function toJson({ answers, lastGood }: ToldAnswers, foreign: readonly ForeignJudgement[]): string {
  const shown = answers.map(({ json }, index) => {
    const { drops, translators } = foreign[index] ?? NOTHING;
    return {
      ...asObject(placed(json)),
      ...(drops.length > 0 && { foreign: drops }),
      ...(translators.length > 0 && { foreignNat: translators }),
    };
  });
  const withoutWhole = (key: string, value: unknown): unknown => (key === 'whole' ? undefined : value);
  return JSON.stringify({ ...shown[0], answers: shown, lastGood }, withoutWhole, 2);
}

type AsIfRunning = CliHost & { readonly assembled: Assembled };

/** As if all ran; read when somebody asks, and only once. */
function rememberHost(invocation: Invocation, { inForce }: ExplainFlags): () => Promise<AsIfRunning> {
  let reading: Promise<AsIfRunning> | undefined;
  const read = async (): Promise<AsIfRunning> => {
    const host = await (inForce ? readAllInForce : readHost)(invocation);
    return { ...host, assembled: assembleAsIfRunning(host.inputs, host.assembler) };
  };
  return () => {
    reading ??= read();
    return reading;
  };
}

const NOTHING: ForeignJudgement = { drops: [], translators: [] };

const isFine = ({ verdict }: Pick<ToldAnswer, 'verdict'>, { drops } = NOTHING): boolean =>
  verdict === 'allow' && !drops.some(({ sure }) => sure);

/** While the answers are made. Only root can list others' rules, and a state that stands in for the host has none. */
function beginForeign({ io, shared }: Invocation, signal: AbortSignal): Promise<ForeignRules> | undefined {
  if (shared.stateFile !== undefined || !io.isRoot) return undefined;
  const reading = io.loadReader().then((run) => readForeignRules(abortable(run, signal)));
  // Told of where it is asked for.
  reading.catch(() => undefined);
  return reading;
}

/** By answer. */
async function judgeForeign(
  invocation: Invocation,
  answers: readonly ToldAnswer[],
  readOnce: () => Promise<AsIfRunning>,
  rules: Promise<ForeignRules> | undefined,
): Promise<readonly ForeignJudgement[]> {
  const { io } = invocation;
  if (rules === undefined || !answers.some(({ verdict }) => verdict === 'allow')) return [];
  try {
    const { chains } = await rules;
    if (!chains.some(({ base }) => base !== null)) return [];
    const { assembled: host } = await readOnce();
    const run = await io.loadReader();
    const beyond = new Set(answers.flatMap((answer) => addressesBeyond(host, answer)));
    const ways = [...beyond].map(async (address) => [address, await readWaysTo(run, address)] as const);
    const facts = { sysctl: await readSysctls([], []), waysTo: new Map(await Promise.all(ways)) };
    return answers.map((answer) => (answer.verdict === 'allow' ? judgeFlow(chains, host, answer, facts) : NOTHING));
  } catch (cause) {
    io.err.write(`what other programs drop isn't known: ${describeFailure(cause, io).message}\n`);
    return [];
  }
}

async function explainHost(host: AsIfRunning, { io, shared }: Invocation, flags: ExplainFlags): Promise<ToldAnswers> {
  // A state that stands in for the host has no routes.
  const isHere = shared.stateFile === undefined;
  const guardedWays = isHere ? await readGuardedWays(await io.loadReader(), host.assembled, flags) : new Map();
  try {
    // Through the same words as the daemon's answer, so that both say the same.
    return parseAnswers({ value: describeAnswers({ ...host, guardedWays }, flags, shared.shown.policies), path: '' });
  } catch (cause) {
    if (cause instanceof QuestionError) throw new CliError(EXIT.usage, cause.message, { cause });
    throw cause;
  }
}

function renderAnswer(answer: ToldAnswer, { drops, translators }: ForeignJudgement, colours: Colours): string {
  const { verdict, service, steps } = answer;
  const word = verdict === 'allow' ? colours.green('allow') : colours.red(verdict);
  const rows = steps.map((step) => [`  ${markOf(step, colours)} ${step.at}`, whyOf(step), placeOf(step, colours)]);
  return `${colours.bold(word)}  ${service}  ${endText(answer, 'from')} → ${endText(answer, 'to')}\n${renderTable(rows)}${drops.map((drop) => foreignText(drop, colours)).join('')}${translators.map((chain) => translatedText(chain, colours)).join('')}`;
}

function foreignText({ chain, sure, by, mend }: ForeignVerdict, colours: Colours): string {
  const text = `allowed by routewall, but ${chain} ${sure ? 'would' : 'may'} drop it: by ${by}`;
  return `${sure ? colours.red(text) : colours.yellow(text)}\n    ${mend}\n`;
}

const translatedText = (chain: string, colours: Colours): string =>
  `${colours.yellow(`${chain} may send it to another address: ask about that one`)}\n`;

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
