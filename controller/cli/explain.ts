/** `routewall explain`: the verdict about a flow, and the way to it. */
import type { PolicyFiles } from '../../policies/policy-files.ts';
import { maxStructuredBytes, readSourceText } from '../../policies/source-text.ts';
import { type Address, type Family, familyOf, parseAddress } from '../../render/address.ts';
import { assembleAsIfRunning } from '../as-if-running.ts';
import { type ExplainedStep, type ExplainHost, type Explanation, explainFlow } from '../explain.ts';
import { type FlowParty, familiesOf, parseParty } from '../flow-parties.ts';
import { type AskedService, parseAskedService } from './asked-service.ts';
import { CliError, EXIT } from './exit.ts';
import type { Colours } from './io.ts';
import type { Invocation } from './options.ts';
import { shownPath } from './print-problems.ts';
import { type CliHost, hint, readHost } from './read-host.ts';
import { renderTable } from './table.ts';

export interface ExplainFlags {
  readonly from: string;
  readonly to: string;
  readonly service: string;
  /** Only this one. */
  readonly family: Family | undefined;
  readonly source: string | undefined;
}

interface Answer extends Explanation {
  readonly service: string;
}

export async function runExplain(invocation: Invocation, flags: ExplainFlags): Promise<number> {
  const { io, shared, colours } = invocation;
  const host = await readHost(invocation);
  const { desired, policies, network } = assembleAsIfRunning(host.inputs);
  const explainHost = { desired, policies, network, containers: host.inputs.containers };
  const lines = policyLines(host.files);
  const answers = explainAll(explainHost, host, flags, (file, line) => lines(file)[line - 1]);
  const [first] = answers;
  if (first === undefined)
    throw new CliError(EXIT.usage, `IPv${flags.family}: ${flags.service} is of the other family`);
  if (shared.json) {
    io.out.write(`${JSON.stringify(toJson(first, shared.shown.policies), null, 2)}\n`);
    return first.verdict === 'allow' ? EXIT.fine : EXIT.no;
  }
  const broken = [...policies.values()].filter(({ status }) => status === 'last-good').map(({ file }) => file);
  io.out.write(
    answers.map((answer) => renderAnswer(answer, { colours, folder: shared.shown.policies, lines })).join('\n'),
  );
  if (broken.length > 0) io.err.write(`${broken.join(', ')}: has errors; answered by the last good policy\n`);
  return answers.every(({ verdict }) => verdict === 'allow') ? EXIT.fine : EXIT.no;
}

function explainAll(
  host: ExplainHost,
  { inputs }: CliHost,
  flags: ExplainFlags,
  lineAt: (file: string, line: number) => string | undefined,
): Answer[] {
  const from = readParty(flags.from, '--from', host);
  const to = readParty(flags.to, '--to', host);
  const source = flags.source === undefined ? undefined : readAddress(flags.source);
  const services = parseAskedService(flags.service, inputs.loaded.services);
  if (typeof services === 'string') throw new CliError(EXIT.usage, services);
  const families = flags.family === undefined ? familiesFor(host, from, to, source) : [flags.family];
  // All services of one family, then of the other: JSON takes the first.
  return families.flatMap((family) =>
    services
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
    throw new CliError(EXIT.usage, `${option} ${party}${meant}`);
  }
  if (party.kind === 'container' && !names.includes(party.name)) {
    throw new CliError(EXIT.usage, `${option} ${text}: there is no such container${hint(party.name, names)}`);
  }
  return party;
}

function readAddress(text: string): Address {
  const address = parseAddress(text);
  if (address === undefined) throw new CliError(EXIT.usage, `--source ${text}: no address`);
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

/** The lines of each policy file. */
function policyLines(files: PolicyFiles): (file: string) => readonly string[] {
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

function toJson({ steps, verdict, from, to, service, ...rest }: Answer, folder: string): unknown {
  return {
    verdict,
    from,
    to,
    service,
    ...rest,
    steps: steps.map(({ at, verdict: said, rule, ...more }) => ({
      at,
      verdict: said,
      rule: rule === null ? null : { ...rule, file: shownPath(rule.file, folder) },
      ...more,
    })),
  };
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
  return wholeRule(lines(rule.file), rule.line) ?? rule.text;
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
