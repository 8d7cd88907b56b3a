/** `routewall status`: what is enforced and since when, what is wrong, and what differs. */
import { formatDuration, timeText } from '../../policies/moment.ts';
import { isError } from '../../policies/problem.ts';
import { observingText } from '../denials/observing.ts';
import { type Elsewhere, readElsewhere } from '../host/elsewhere.ts';
import { suggestContainer } from '../host/suggest-container.ts';
import { placed } from '../json-shape.ts';
import { describePanic } from '../panic/describe-panic.ts';
import { isSealed, type PanicState, parsePanic, viewPanic } from '../panic/panic-state.ts';
import { describeWaiting } from '../revisions/describe-waiting.ts';
import type { RevisionView } from '../revisions/revision-view.ts';
import { askStatus } from '../status/ask-daemon.ts';
import { readProcessStart } from '../status/process-start.ts';
import { readServer, readStatusFile } from '../status/status-file.ts';
import type { ContainerStatus, EndStatus, NameStatus, StatusFile } from '../status/status-shape.ts';
import type { WireStatus } from '../traffic/describe-wires.ts';
import { CliError, EXIT } from './exit.ts';
import type { Colours } from './io.ts';
import { type Difference, readDifference } from './kernel-difference.ts';
import { policiesOfNobody } from './mislaid-policies.ts';
import type { Invocation } from './options.ts';
import { revisionText } from './order.ts';
import { patientRun } from './patient-run.ts';
import { policyName, policyStanding, standingColour } from './policy-standing.ts';
import { changeText, colourDiff } from './preview.ts';
import { placeProblems, plural, printProblems, shownPath } from './print-problems.ts';
import { readKnownPanic } from './read-host.ts';
import { renderTable } from './table.ts';
import { elsewhereLines, withoutPolicyLines } from './unprotected.ts';
import { policyInVain } from './without-nics.ts';

export async function runStatus(invocation: Invocation): Promise<number> {
  const { io, shared, colours } = invocation;
  const patient = patientRun(await io.loadReader());
  const loadReader = async () => patient.run;
  const asked = { ...invocation, io: { ...io, loadRun: loadReader, loadReader } };
  const { file, running, answers } = await readDaemonStatus(invocation);
  const outside = running && file !== undefined ? await readElsewhere(file.serves.lxcPaths) : [];
  const status = file === undefined ? undefined : shownStatus(file, outside, invocation);
  const elsewhere = shared.names.length === 0 ? outside : [];
  // What didn't come to its end for the daemon needn't be waited for once more.
  const unlimit = patient.limit((status?.unread ?? []).length > 0 ? 5 : 20);
  const difference = await readDifference(asked, answers);
  unlimit();
  const differs = difference.known ? difference.comparison.changed : difference.failed;
  // Without a daemon the file in which it would look.
  const panic = running && status !== undefined ? status.panic : viewPanic(await readKnownPanic(shared));
  const sealed = describePanic(parsePanic(placed(panic)));
  const fine = running && !hasTrouble(status) && !differs && sealed.length === 0;
  if (shared.json)
    io.out.write(`${JSON.stringify({ ...toJson(running, status, difference), panic, elsewhere }, null, 2)}\n`);
  else {
    io.out.write(daemonText(running, status, difference, colours));
    io.out.write(sealed.map((line) => `${colours.red(line)}\n`).join(''));
    if (status !== undefined) io.out.write(revisionLines(status.revision, colours));
    if (status !== undefined) printStatus(invocation, status, parsePanic(placed(panic)));
    const unprotected = [...withoutPolicyLines(status?.containers ?? [], ofNobody(file)), ...elsewhereLines(elsewhere)];
    if (unprotected.length > 0) io.out.write(`\n${unprotected.map((line) => `${colours.yellow(line)}\n`).join('')}`);
    const source = status?.revision.reason ? `revision ${status.revision.inForce} says` : 'the files say';
    // The difference is the whole ruleset then, and that nothing is enforced has been said.
    const isBare = !running && difference.known && !difference.holdsRules && differs;
    io.out.write(
      isBare ? '\nroutewall preview shows what would be in force\n' : differenceText(difference, source, colours),
    );
  }
  return fine ? EXIT.fine : EXIT.no;
}

interface DaemonStatus {
  readonly file: StatusFile | undefined;
  readonly running: boolean;
  /** It does so now: other questions needn't wait for one that hangs. */
  readonly answers: boolean;
}

/** The file that it leaves, and, where it answers, what it says now: a process that hangs has a file too. */
async function readDaemonStatus({ io, shared }: Invocation): Promise<DaemonStatus> {
  const server = await readServer(shared.runtimeDirectory);
  const running = server !== undefined && (await readProcessStart(server.pid)) === server.started;
  const said = running ? await askStatus(await io.loadRun()) : undefined;
  // The bus doesn't end at a network namespace: whoever answers may be another one's daemon.
  if (said !== undefined && said.pid === server?.pid) return { file: said, running, answers: true };
  return { file: await readStatusFile(shared.runtimeDirectory), running, answers: false };
}

/** @throws CliError for a name that the daemon doesn't know: that nothing is wrong with it must not be the answer. */
function shownStatus(file: StatusFile, elsewhere: readonly Elsewhere[], { shared }: Invocation): StatusFile {
  const { names, shown } = shared;
  const known = file.containers.map(({ container }) => container);
  for (const name of names) {
    if (known.includes(name)) continue;
    const where = elsewhere.find(({ container }) => container === name)?.lxcPath;
    const hint = where === undefined ? suggestContainer(name, known) : `: lxcPaths doesn't name ${where}`;
    throw new CliError(EXIT.usage, `the daemon knows no container "${name}"${hint}`);
  }
  const containers = file.containers
    .filter(({ container }) => names.length === 0 || names.includes(container))
    .sort((a, b) => (a.container < b.container ? -1 : 1))
    .map((entry) => ({
      ...entry,
      problems: placeProblems(entry.problems, shown.policies),
      ends: entry.ends.map((end) => ({ ...end, file: shownPath(end.file, shown.policies) })),
    }));
  return { ...file, containers, problems: placeProblems(file.problems, shown.policies) };
}

const ofNobody = (file: StatusFile | undefined): string[] =>
  file === undefined
    ? []
    : policiesOfNobody(
        file.serves.policies,
        file.containers.map(({ container }) => container),
      );

/** What the exit status is about. */
export const hasTrouble = (status: StatusFile | undefined): boolean =>
  status === undefined ||
  [...status.problems, ...status.containers.flatMap(({ problems }) => problems)].some(isError) ||
  status.containers.some(({ refused }) => refused !== null) ||
  status.wires?.some(({ state }) => state === 'broken') === true ||
  status.revision.reason === 'refused' ||
  status.revision.reason === 'missing' ||
  status.names.some(({ addresses, error }) => addresses.length === 0 && error !== null) ||
  Object.values(status.watchers).includes('failed') ||
  status.unread?.some(({ since }) => Date.now() - Date.parse(since) > LASTING_MS) === true;

/** What was put aside once is read by then, or has failed again. */
const LASTING_MS = 60_000;

function toJson(running: boolean, status: StatusFile | undefined, difference: Difference): object {
  if (!difference.known) return { running, ...status, backend: null, difference: null };
  const { backend, changed, ruleset, routes, neighbourProxies, gateways } = difference.comparison;
  return { running, ...status, backend, difference: { changed, ruleset, routes, neighbourProxies, gateways } };
}

function daemonText(
  running: boolean,
  status: StatusFile | undefined,
  difference: Difference,
  colours: Colours,
): string {
  if (running && status !== undefined) {
    const enforced =
      status.enforcedAt === null ? 'nothing enforced yet' : `last enforced ${timeText(status.enforcedAt)}`;
    const generation = status.generation === null ? '' : `, generation ${status.generation}`;
    return `${colours.green('running')} as process ${status.pid} since ${timeText(status.since)}; ${enforced}${generation}\n`;
  }
  const last = status === undefined ? '' : `; process ${status.pid}, started ${timeText(status.since)}, is gone`;
  const rules = kernelRules(difference);
  return `${colours.red('not running')}${last}${rules}\nstart it: systemctl start routewall\n`;
}

function kernelRules(difference: Difference): string {
  if (!difference.known) return '';
  return difference.holdsRules
    ? '; the rules in the kernel stay in force, and containers started from now on stay shut'
    : '; the kernel holds no rules of ours: nothing is enforced';
}

function revisionLines(view: RevisionView, colours: Colours): string {
  const { inForce, autoApply, unconfirmed, waiting, reason } = view;
  if (!autoApply && unconfirmed === null && reason === null) {
    const waits = 'what is saved from now on waits for routewall apply (autoApply: false)';
    return `${colours.dim(`${revisionText(view)} is in force; ${waits}`)}\n`;
  }
  const lines = [
    ...(unconfirmed === null
      ? []
      : [
          `revision ${unconfirmed.revision} is in force until ${timeText(unconfirmed.until)}; keep it: routewall confirm`,
          `otherwise revision ${unconfirmed.previous} comes back`,
        ]),
    ...(reason === null ? [] : [`revision ${inForce} is in force; ${describeWaiting(waiting, reason)}`]),
  ];
  return lines.map((line) => `${colours.yellow(line)}\n`).join('');
}

function printStatus({ io, colours }: Invocation, status: StatusFile, panic: PanicState): void {
  if (status.containers.length > 0) {
    const heading = ['CONTAINER', 'STATE', 'POLICY', 'ENFORCED ON', 'SINCE'].map((text) => colours.bold(text));
    io.out.write(`\n${renderTable([heading, ...status.containers.map((entry) => row(entry, panic, colours))])}`);
  }
  if (status.names.length > 0) {
    const heading = ['NAME', 'ADDRESSES', 'ANSWERED', 'NEXT', 'TROUBLE'].map((text) => colours.bold(text));
    io.out.write(`\n${renderTable([heading, ...status.names.map((name) => nameRow(name, colours))])}`);
    if (status.names.some(isShutIn)) io.out.write(`${colours.yellow(SHUT_IN)}\n`);
  }
  if (status.wires !== undefined) {
    const heading = ['WIRE', 'STATE', 'TROUBLE'].map((text) => colours.bold(text));
    io.out.write(`\n${renderTable([heading, ...status.wires.map((wire) => wireRow(wire, colours))])}`);
  }
  const failed = Object.entries(status.watchers).filter(([, state]) => state !== 'synced');
  for (const [source, state] of failed) io.out.write(`${colours.red(`${source}: ${state}`)}\n`);
  for (const { what, since, why } of status.unread ?? [])
    io.out.write(`${colours.red(`${what}: unfinished since ${timeText(since)}: ${why}`)}\n`);
  if (status.drift.count > 0) {
    const last = status.drift.last === null ? '' : `, last ${timeText(status.drift.last)}`;
    io.out.write(`\nput back what others changed: ${plural(status.drift.count, 'part')}${last}\n`);
  }
  for (const { container, refused } of status.containers) {
    if (refused !== null) io.out.write(`${colours.red(`${container}: ${refused}`)}\n`);
  }
  const ends = status.containers.flatMap((entry) => [
    ...observedText(entry, colours),
    ...entry.ends.map((end) => endText(entry, end)),
  ]);
  if (ends.length > 0) io.out.write(`\n${ends.join('')}`);
  const problems = [...status.problems, ...status.containers.flatMap((entry) => entry.problems)];
  if (problems.length > 0) io.out.write('\n');
  printProblems(io.out, colours, problems);
}

/** `web: observes; it is enforced in 6 d 3 h (2027-01-31 00:00:00 UTC)` */
function observedText({ container, policy: { observing } }: ContainerStatus, colours: Colours): string[] {
  if (observing === null) return [];
  const left = leftUntil(observing.until);
  const text = `${container}: ${observingText(observing)}; it is enforced in ${left} (${timeText(observing.until)})`;
  return [`${colours.yellow(text)}\n`];
}

const leftUntil = (iso: string): string => formatDuration((Date.parse(iso) - Date.now()) / 1000);

/** `web: the rule at web.yaml:4 ends in 3 d 4 h (2027-01-31 00:00:00 UTC)` */
function endText({ container }: ContainerStatus, { file, line, until }: EndStatus): string {
  return `${container}: the rule at ${file}:${line} ends in ${leftUntil(until)} (${timeText(until)})\n`;
}

function row(status: ContainerStatus, panic: PanicState, colours: Colours): string[] {
  const { container, state, nics, since, unenforced = [] } = status;
  const where = [
    ...nics.map(({ nic, hostVeth }) => `${nicLabel(nic)} via ${hostVeth}`),
    ...unenforced.map((name) => colours.yellow(`not on ${nicLabel(name)}`)),
  ];
  return [
    container,
    state.toLowerCase(),
    policyText(status, isSealed(panic, container), colours),
    where.join(', ') || '-',
    since === null ? '-' : timeText(since),
  ];
}

/** As in the list: one without a name goes by its index. */
const nicLabel = (name: string): string => name.replace(/^\d+(?= |$)/, '#$&');

function policyText({ ours, policy, unenforced = [] }: ContainerStatus, sealed: boolean, colours: Colours): string {
  if (ours === false) return policyInVain(policy.file, unenforced, colours);
  const name = policyName(policy);
  if (sealed) return colours.red(`${name}: sealed by panic`);
  const said = [policyStanding(policy) ?? [], policy.observing === null ? [] : observingText(policy.observing)].flat();
  return said.length === 0 ? name : standingColour(policy, colours)(`${name}: ${said.join(', ')}`);
}

function wireRow({ a, b, state, why }: WireStatus, colours: Colours): string[] {
  const shown = { up: colours.green, down: colours.dim, broken: colours.red }[state](state);
  return [`${a} and ${b}`, shown, why ?? ''];
}

/** As many addresses as a line holds. */
const SHOWN = 3;

function nameRow({ name, addresses, ignored, answered, next, error }: NameStatus, colours: Colours): string[] {
  const more = addresses.length > SHOWN ? ` and ${addresses.length - SHOWN} more` : '';
  const trouble = [error ?? [], ...ignored.map((text) => `ignored ${text}`)].flat();
  const shown = addresses.length === 0 ? colours.yellow('none') : `${addresses.slice(0, SHOWN).join(', ')}${more}`;
  const since = answered === null ? 'never' : `${ageText(Date.now() - Date.parse(answered))} ago`;
  const until = next === null ? 'now' : `in ${ageText(Date.parse(next) - Date.now())}`;
  return [`dns:${name}`, shown, since, until, colours.yellow(trouble.join('; '))];
}

/** What the packaged service's sandbox makes of every question; a resolver that isn't there says the same. */
const isShutIn = ({ answered, error }: NameStatus): boolean =>
  answered === null && error?.includes('ECONNREFUSED') === true;

const SHUT_IN =
  'ECONNREFUSED: the packaged service asks no server without a drop-in: /usr/share/doc/routewall/dns-names.md';

function ageText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

function differenceText(difference: Difference, source: string, colours: Colours): string {
  if (!difference.known) return `\n${difference.why}\n`;
  const { backend, changed, ruleset, routes, neighbourProxies, gateways } = difference.comparison;
  const by = backend === 'nftables' ? '' : `, by ${backend}`;
  if (!changed) return `\nthe kernel holds what ${source}${by}\n`;
  const parts = [
    colourDiff(ruleset, colours),
    changeText('routes', routes, colours),
    changeText('neighbour proxies', neighbourProxies, colours),
    changeText('gateway addresses', gateways, colours),
  ];
  return `\n${colours.red(`the kernel differs from what ${source}${by}:`)}\n${parts.filter((part) => part !== '').join('\n')}`;
}
