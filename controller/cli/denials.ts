/** `routewall denials`: what was refused in the last hour, or what is being refused now. */
import { setTimeout as sleep } from 'node:timers/promises';
import { assembleAsIfRunning } from '../as-if-running.ts';
import { readCounted } from '../counted-packets.ts';
import { DENIED, type Denial, type DenialHost, describeDenials } from '../denials.ts';
import { CommandError, type Run } from '../run.ts';
import { CliError, EXIT } from './exit.ts';
import type { Invocation } from './options.ts';
import { readHost, selectContainers } from './read-host.ts';
import { renderTable } from './table.ts';

export interface DenialFlags {
  readonly follow: boolean;
  readonly sort: 'recent' | 'packets';
  /** Rows at the most. */
  readonly limit: number;
}

export async function runDenials(invocation: Invocation, flags: DenialFlags): Promise<number> {
  const run = await invocation.io.loadRun();
  const host = await readDenialHost(invocation);
  if (flags.follow) return follow(invocation, run, host);
  const { io, shared, colours } = invocation;
  const all = (await readDenials(run, host, shared.names)).sort(ORDERS[flags.sort]);
  const shown = all.slice(0, flags.limit);
  if (shared.json) {
    io.out.write(`${JSON.stringify(shown, null, 2)}\n`);
    return EXIT.fine;
  }
  if (all.length === 0) {
    io.err.write('nothing was refused within the last hour\n');
    return EXIT.fine;
  }
  const heading = ['CONTAINER', 'DIRECTION', 'PEER', 'SERVICE', 'PACKETS', 'LAST SEEN'];
  const now = Date.now();
  const rows = shown.map((denial) => [...cells(denial), String(denial.packets), agoText(now, denial.lastSeen)]);
  io.out.write(renderTable([heading.map((text) => colours.bold(text)), ...rows]));
  if (all.length > shown.length) io.err.write(`and ${all.length - shown.length} more: --limit ${all.length}\n`);
  return EXIT.fine;
}

const ORDERS: Readonly<Record<DenialFlags['sort'], (a: Denial, b: Denial) => number>> = {
  recent: (a, b) => (a.lastSeen < b.lastSeen ? 1 : -1),
  packets: (a, b) => b.packets - a.packets,
};

async function readDenialHost(invocation: Invocation): Promise<DenialHost> {
  const { inputs, containers } = await readHost(invocation);
  selectContainers(containers, invocation.shared.names);
  return {
    containers: inputs.containers,
    veths: inputs.veths,
    services: inputs.loaded.services,
    flows: assembleAsIfRunning(inputs),
  };
}

async function readDenials(run: Run, host: DenialHost, names: readonly string[]): Promise<Denial[]> {
  const elements = await readCounted(run, DENIED).catch((cause: unknown) => {
    if (!(cause instanceof CommandError) || !cause.message.includes('No such file')) throw cause;
    const message = "the kernel doesn't hold this release's rules: systemctl start routewall";
    throw new CliError(EXIT.refused, message, { cause });
  });
  return describeDenials(elements, host, Date.now()).filter((denial) => isChosen(denial, names));
}

function cells({ container, hostVeth, direction, peer, peerName, service, serviceName }: Denial): string[] {
  return [
    container ?? `(${hostVeth})`,
    direction,
    peerName === null ? peer : `${peerName} (${peer})`,
    serviceName === null ? service : `${service} (${serviceName})`,
  ];
}

function agoText(now: number, iso: string): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(iso)) / 1000));
  return seconds < 60 ? `${seconds} s ago` : `${Math.floor(seconds / 60)} min ago`;
}

/** A full listing takes a second: reading takes at most a twentieth of the time. */
const POLL = { leastMs: 1000, times: 20 };

/** The packet path raises no events about these sets, so they are read again and again. */
async function follow(invocation: Invocation, run: Run, first: DenialHost): Promise<number> {
  const { io, shared } = invocation;
  const ending = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ending.abort());
  let host = first;
  let known = countsOf(await readDenials(run, host, []));
  if (!shared.json) io.err.write('waiting for what is refused; Ctrl-C ends\n');
  while (!ending.signal.aborted) {
    const begin = performance.now();
    let denials = await readDenials(run, host, []);
    // A container that has started since has an interface that isn't known yet.
    if (denials.some((denial) => denial.container === null && !known.has(keyOf(denial)))) {
      host = await readDenialHost(invocation);
      denials = await readDenials(run, host, []);
    }
    for (const denial of denials)
      if (isChosen(denial, shared.names)) print(denial, known.get(keyOf(denial)), invocation);
    known = countsOf(denials);
    const pause = Math.max(POLL.leastMs, (performance.now() - begin) * POLL.times);
    await sleep(pause, undefined, { signal: ending.signal }).catch(() => undefined);
  }
  return EXIT.fine;
}

const isChosen = ({ container }: Denial, names: readonly string[]): boolean =>
  names.length === 0 || (container !== null && names.includes(container));

const keyOf = ({ hostVeth, direction, peer, service }: Denial): string => `${hostVeth} ${direction} ${peer} ${service}`;

const countsOf = (denials: readonly Denial[]): ReadonlyMap<string, number> =>
  new Map(denials.map((denial) => [keyOf(denial), denial.packets]));

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
