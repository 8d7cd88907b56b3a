/** `routewall denials`: what was refused in the last hour, or what is being refused now. */
import { setTimeout as sleep } from 'node:timers/promises';
import { readCounted } from '../denials/counted-packets.ts';
import { type Denial, type DenialHost, deniedOn, describeDenials } from '../denials/denials.ts';
import { assembleAsIfRunning } from '../pass/as-if-running.ts';
import { EXIT } from './exit.ts';
import type { Invocation } from './options.ts';
import { readHostInForce, selectContainers } from './read-host.ts';
import { requireRecords } from './recorded.ts';
import { describeNotInForce } from './serving-daemon.ts';
import { renderTable } from './table.ts';

export interface DenialFlags {
  readonly follow: boolean;
  readonly sort: 'recent' | 'packets';
  /** Rows at the most. */
  readonly limit: number;
}

export async function runDenials(invocation: Invocation, flags: DenialFlags): Promise<number> {
  const host = await readDenialHost(invocation);
  if (flags.follow) return follow(invocation, host);
  const { io, shared, colours } = invocation;
  const read = [...(await readDenials(invocation, host)).values()];
  const all = read.filter((denial) => isChosen(denial, shared.names)).sort(ORDERS[flags.sort]);
  const shown = all.slice(0, flags.limit);
  if (shared.json) {
    io.out.write(`${JSON.stringify(shown, null, 2)}\n`);
    await tellWhoseLines(invocation, host, shown);
    return EXIT.fine;
  }
  if (all.length === 0) {
    io.err.write('nothing was refused within the last hour\n');
    return EXIT.fine;
  }
  const heading = ['CONTAINER', 'DIRECTION', 'PEER', 'SERVICE', 'BY', 'PACKETS', 'LAST SEEN'];
  const now = Date.now();
  const rows = shown.map((denial) => [...cells(denial), String(denial.packets), agoText(now, denial.lastSeen)]);
  io.out.write(renderTable([heading.map((text) => colours.bold(text)), ...rows]));
  if (all.length > shown.length) io.err.write(`and ${all.length - shown.length} more: --limit ${all.length}\n`);
  await tellWhoseLines(invocation, host, shown);
  return EXIT.fine;
}

/** Who looks a line up finds the file as it is saved. */
async function tellWhoseLines(
  invocation: Invocation,
  { assembled }: DenialHost,
  shown: readonly Denial[],
): Promise<void> {
  const { err } = invocation.io;
  const files = new Set(shown.flatMap(({ rule }) => rule?.file ?? []));
  const broken = [...assembled.policies.values()].flatMap(({ status, file }) =>
    status === 'last-good' ? (file ?? []) : [],
  );
  const waiting = files.size === 0 ? undefined : await describeNotInForce(invocation);
  if (waiting !== undefined) err.write(`lines are those of what is in force: ${waiting}\n`);
  for (const file of broken.filter((file) => files.has(file)))
    err.write(`${file}: has errors; lines are those of the last good policy\n`);
}

const ORDERS: Readonly<Record<DenialFlags['sort'], (a: Denial, b: Denial) => number>> = {
  recent: (a, b) => (a.lastSeen < b.lastSeen ? 1 : -1),
  packets: (a, b) => b.packets - a.packets,
};

async function readDenialHost(invocation: Invocation): Promise<DenialHost> {
  const { inputs, containers, assembler } = await readHostInForce(invocation);
  selectContainers(containers, invocation.shared.names);
  return { inputs, assembled: assembleAsIfRunning(inputs, assembler) };
}

async function readDenials(invocation: Invocation, host: DenialHost): Promise<ReadonlyMap<string, Denial>> {
  const elements = await requireRecords(invocation, host.inputs, (run) =>
    readCounted(run, deniedOn(host.assembled.desired.host)),
  );
  return describeDenials(elements, host, Date.now());
}

function cells({ container, hostVeth, direction, peer, peerName, service, serviceName, rule }: Denial): string[] {
  return [
    container ?? `(${hostVeth})`,
    direction,
    peerName === null ? peer : `${peerName} (${peer})`,
    serviceName === null ? service : `${service} (${serviceName})`,
    ruleText(rule),
  ];
}

/** `web.yaml:12`, or `default: drop` where no file says so. */
function ruleText(rule: Denial['rule']): string {
  if (rule === null) return '-';
  return rule.file === null ? rule.text : `${rule.file.replace(/^containers\//, '')}:${rule.line}`;
}

function agoText(now: number, iso: string): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(iso)) / 1000));
  return seconds < 60 ? `${seconds} s ago` : `${Math.floor(seconds / 60)} min ago`;
}

/** A full listing takes a second: reading takes at most a twentieth of the time. */
const POLL = { leastMs: 1000, times: 20 };

/** The packet path raises no events about these sets, so they are read again and again. */
async function follow(invocation: Invocation, first: DenialHost): Promise<number> {
  const { io, shared } = invocation;
  const ending = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ending.abort());
  let host = first;
  let known = await readDenials(invocation, host);
  if (!shared.json) io.err.write('waiting for what is refused; Ctrl-C ends\n');
  while (!ending.signal.aborted) {
    const begin = performance.now();
    let denials = await readDenials(invocation, host);
    // A container that has started since has an interface that isn't known yet.
    if ([...denials].some(([id, { container }]) => container === null && !known.has(id))) {
      host = await readDenialHost(invocation);
      denials = await readDenials(invocation, host);
    }
    for (const [id, denial] of denials)
      if (isChosen(denial, shared.names)) print(denial, known.get(id)?.packets, invocation);
    known = denials;
    const pause = Math.max(POLL.leastMs, (performance.now() - begin) * POLL.times);
    await sleep(pause, undefined, { signal: ending.signal }).catch(() => undefined);
  }
  return EXIT.fine;
}

const isChosen = ({ container }: Denial, names: readonly string[]): boolean =>
  names.length === 0 || (container !== null && names.includes(container));

/** An element that had gone counts from the beginning. */
function print(denial: Denial, before: number | undefined, { io, shared }: Invocation): void {
  const packets = before === undefined || denial.packets < before ? denial.packets : denial.packets - before;
  if (packets === 0) return;
  if (shared.json) io.out.write(`${JSON.stringify({ ...denial, packets })}\n`);
  else {
    const time = denial.lastSeen.slice(11, 19);
    io.out.write(`${time}  ${cells(denial).join('  ')}  ${packets === 1 ? '1 packet' : `${packets} packets`}\n`);
  }
}
