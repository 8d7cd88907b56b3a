/** What the ends of a wire need besides the redirection: a host that is silent there, and an interface that takes in all. */
import { readFile, writeFile } from 'node:fs/promises';
import type { Wire } from '../../render/desired.ts';
import type { InterfaceName } from '../../render/names.ts';
import type { TrafficFailure } from '../../render/traffic.ts';
import { type Run, runOrThrow } from '../commands/run.ts';

/**
 * Without IPv6 the host has nothing to say there of itself (routers' solicitations, multicast reports, its own address);
 * what it would say before is dropped by the guard. The setting goes with the veth.
 */
export async function silence(wires: readonly Wire[]): Promise<void> {
  const veths = wires.flatMap(({ a, b, ofHost }) => [a, b].filter((dev) => !ofHost.includes(dev)));
  for (const dev of veths) await writeFile(`/proc/sys/net/ipv6/conf/${dev}/disable_ipv6`, '1').catch(() => undefined);
}

/** A network card passes over frames for others, unless it is told not to. @returns the lines that are missing. */
export async function renderPromiscuous(run: Run, devs: Iterable<InterfaceName>): Promise<string[]> {
  const lines: string[] = [];
  for (const dev of devs) {
    const text = await runOrThrow(run, 'ip', ['-o', 'link', 'show', 'dev', dev]);
    const flags = /<([^>]*)>/.exec(text)?.[1]?.split(',') ?? [];
    if (!flags.includes('PROMISC') || !flags.includes('UP')) lines.push(`link set dev ${dev} up promisc on`);
  }
  return lines;
}

/** A frame that is too long for the other end is lost there, and nobody is told. */
export async function readNarrowness({ a, b }: Wire): Promise<TrafficFailure[]> {
  const [from, to] = [await readMtu(a), await readMtu(b)];
  if (from === undefined || to === undefined || from === to) return [];
  const narrow = from < to ? a : b;
  const why = `frames of more than ${Math.min(from, to)} bytes don't get through: ${a} has an MTU of ${from}, ${b} of ${to}`;
  return [{ dev: narrow, part: 'mtu', why }];
}

/** The interface's, unless somebody gave IPv6 one of its own; without a fork. */
async function readMtu(dev: InterfaceName): Promise<number | undefined> {
  const text = await readFile(`/proc/sys/net/ipv6/conf/${dev}/mtu`, 'utf8').catch(() => '');
  return Number(text) || undefined;
}
