/** `routewall learn`: a policy proposed from what a container did while it was observed. */
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';
import type { ProposedRule } from '../../policies/learn/propose-rules.ts';
import type { LeftOut } from '../../policies/learn/seen.ts';
import { formatMoment } from '../../policies/moment.ts';
import { seenServiceWord } from '../../policies/seen-service.ts';
import { maxStructuredBytes, readSourceText } from '../../policies/source-text.ts';
import { familyOf } from '../../render/address.ts';
import { LearnError, type Learned, learnPolicy } from '../denials/learn.ts';
import { readSeen } from '../denials/seen-flows.ts';
import { assembleAsIfRunning } from '../pass/as-if-running.ts';
import { CliError, EXIT } from './exit.ts';
import type { Invocation } from './options.ts';
import { colourDiff } from './preview.ts';
import { plural, shownPath } from './print-problems.ts';
import { type CliHost, readHost, selectContainers } from './read-host.ts';
import { requireRecords } from './recorded.ts';

export interface LearnFlags {
  readonly diff: boolean;
  /** Also from what was refused within the last hour. */
  readonly refused: boolean;
}

export async function runLearn(invocation: Invocation, { diff, refused }: LearnFlags): Promise<number> {
  const { io, shared, colours } = invocation;
  const [name, ...more] = shared.names;
  if (name === undefined || more.length > 0) throw new CliError(EXIT.usage, 'learn: name one container: -n NAME');
  const host = await readHost(invocation);
  const [entry] = selectContainers(host.containers, [name]);
  const assembled = assembleAsIfRunning(host.inputs, host.assembler);
  if (entry === undefined) throw new CliError(EXIT.usage, `there is no container "${name}"`);
  const { container } = entry;
  const as = refused ? (['observed', 'refused'] as const) : (['observed'] as const);
  const seen = await requireRecords(invocation, host.inputs, (run) =>
    readSeen(run, container, as, { assembled, veths: host.inputs.veths }),
  );
  const before = textBefore(host, name);
  const learned = propose(() =>
    learnPolicy(container, before.text, seen, { inputs: host.inputs, assembled }, describe),
  );
  const own = shownPath(`containers/${name}.yaml`, shared.shown.policies);
  if (shared.json) io.out.write(`${JSON.stringify(toJson(own, learned), null, 2)}\n`);
  else {
    io.err.write(leftOutText(learned.leftOut));
    if (learned.rules.length > 0) {
      const present = before.file === null ? null : shownPath(before.file, shared.shown.policies);
      const text = diff ? patchText(present ?? '/dev/null', before.text, own, learned.text) : learned.text;
      io.out.write(diff ? colourDiff(text, colours) : text);
      io.err.write(adviceText(learned, present, own, diff));
    } else io.err.write(`${name}: nothing was ${refused ? 'refused or ' : ''}observed that a new rule would allow\n`);
  }
  return learned.rules.length > 0 ? EXIT.fine : EXIT.no;
}

/** The file that decides now; empty where there is none. JSON is YAML in brackets. */
function textBefore({ inputs: { loaded }, files }: CliHost, name: string): { file: string | null; text: string } {
  const file = (loaded.containers.get(name) ?? loaded.defaultPolicy)?.file ?? null;
  const content = file === null ? undefined : files.get(file);
  const source = content === undefined ? undefined : readSourceText(content, maxStructuredBytes);
  return { file, text: source !== undefined && 'text' in source ? source.text : '' };
}

function propose(work: () => Learned): Learned {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof LearnError) throw new CliError(EXIT.no, `${cause.message}: routewall check`, { cause });
    throw cause;
  }
}

/** `12 packets, the last at 2026-11-26T01:10:00Z`, and a line for each thing that wasn't seen. */
const describe = ({ packets, lastSeen, wider }: ProposedRule): string[] => [
  `${plural(packets, 'packet')}, the last at ${formatMoment(Math.floor(lastSeen / 1000))}`,
  ...wider.map((what) => `wider than seen: ${what}`),
];

const patchText = (from: string, before: string, to: string, after: string): string =>
  createTwoFilesPatch(from, to, before, after, undefined, undefined, { context: 3, headerOptions: FILE_HEADERS_ONLY });

/** By reason, with the first few of each. */
function leftOutText(leftOut: readonly LeftOut[]): string {
  const byReason = new Map<string, string[]>();
  for (const { seen, reason } of leftOut) {
    const { direction, peer, packets } = seen;
    const text = `${direction} ${seenServiceWord({ ...seen, family: familyOf(peer) })} ${peer} (${plural(packets, 'packet')})`;
    byReason.set(reason, [...(byReason.get(reason) ?? []), text]);
  }
  return [...byReason]
    .map(([reason, texts]) => {
      const rest = texts.length > 4 ? `, and ${texts.length - 4} more` : '';
      return `left out: ${texts.slice(0, 4).join(', ')}${rest}: ${reason}\n`;
    })
    .join('');
}

function adviceText({ rewritten }: Learned, before: string | null, own: string, diff: boolean): string {
  const notes = [
    ...(rewritten ? ['what stood in brackets was written anew, line by line'] : []),
    ...(before?.endsWith('.json') === true ? [`it takes the place of ${before}: remove that file`] : []),
    ...(diff ? [] : [`read it, then save it as ${own}`]),
  ];
  return notes.map((note) => `${note}\n`).join('');
}

function toJson(file: string, { text, rules, leftOut }: Learned): unknown {
  return {
    file,
    text,
    rules: rules.map(({ lastSeen, ...rule }) => ({ ...rule, lastSeen: new Date(lastSeen).toISOString() })),
    leftOut: leftOut.map(({ seen: { direction, peer, packets, ...seen }, reason }) => ({
      ...{ direction, peer, packets, reason },
      service: seenServiceWord({ ...seen, family: familyOf(peer) }),
    })),
  };
}
