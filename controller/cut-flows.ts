/** Cuts the live connections that a tightened policy no longer allows, and only those. */
import { type Family, familyOf, parseAddress } from '../render/address.ts';
import { type KnownFlow, verdictOfFlow } from './explain.ts';
import type { FlowHost } from './flow-sides.ts';
import { nicIndexOf } from './nic-index.ts';
import { type Run, runOrThrow } from './run.ts';

/** One conntrack entry: the flow as the rules see it, and the words that name it to `conntrack -D`. */
export interface TrackedFlow extends KnownFlow {
  readonly selector: readonly string[];
}

/** @returns how many were cut, by container. @throws CommandError when conntrack can't be read. */
export async function cutForbiddenFlows(
  run: Run,
  host: FlowHost,
  keys: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const concerned = new Set(keys);
  const owned = keys.flatMap((key) => host.desired.nics.get(key)?.owned ?? []);
  const cut = new Map<string, number>();
  const deletions: (readonly string[])[] = [];
  for (const family of new Set(owned.map(familyOf))) {
    const name = family === 4 ? 'ipv4' : 'ipv6';
    for (const flow of parseFlows(await runOrThrow(run, 'conntrack', ['-L', '-f', name]), family)) {
      const container = concernedBy(host, flow, concerned);
      if (container === undefined || verdictOfFlow(host, flow) === 'allow') continue;
      deletions.push(['-D', '-f', name, ...flow.selector]);
      cut.set(container, (cut.get(container) ?? 0) + 1);
    }
  }
  await deleteAll(run, deletions);
  return cut;
}

/** In one process: who is to be cut may have opened thousands, and a fork for each gives them seconds. */
async function deleteAll(run: Run, deletions: readonly (readonly string[])[]): Promise<void> {
  if (deletions.length === 0) return;
  const input = deletions.map((words) => `${words.join(' ')}\n`).join('');
  const { exitCode } = await run('conntrack', ['-R', '-'], { input });
  if (exitCode === 0) return;
  // Before 1.4.7 there is no file of commands. An entry that went by itself is no failure.
  for (const words of deletions) await run('conntrack', words);
}

/** The container of one of those NICs that is an end of the flow. */
function concernedBy(
  { desired }: FlowHost,
  { source, destination }: TrackedFlow,
  keys: ReadonlySet<string>,
): string | undefined {
  const { ownerOf } = nicIndexOf(desired);
  const owners = [source, destination].flatMap((address) => ownerOf(address) ?? []);
  return owners.find(({ key }) => keys.has(key))?.nic.container;
}

/**
 * Reads `conntrack -L`: the first src and dst are the originator's, the second those of the reply. The rules see the
 * destination that translation gave, which is where the reply comes from.
 */
export function parseFlows(listing: string, family: Family): TrackedFlow[] {
  return listing.split('\n').flatMap((line) => parseFlow(line, family) ?? []);
}

/** `tcp      6 431999 ESTABLISHED src=… dst=… sport=36032 dport=99 src=… dst=… sport=99 dport=36032 [ASSURED] …` */
function parseFlow(line: string, family: Family): TrackedFlow | undefined {
  const [, protocol] = /^\S+\s+(\d+) /.exec(line) ?? [];
  const values = (key: string): string[] =>
    [...line.matchAll(new RegExp(` ${key}=(\\S+)`, 'g'))].map((found) => found[1] ?? '');
  const [source, destination] = [values('src')[0], values('src')[1]].map((text) => parseAddress(text ?? ''));
  const [original] = values('dst');
  if (protocol === undefined || source === undefined || destination === undefined || original === undefined)
    return undefined;
  const [sourcePort, port] = [values('sport')[0], values('sport')[1]];
  const [icmpType] = values('type');
  return {
    family,
    source,
    destination,
    protocol: Number(protocol),
    ...(port === undefined ? {} : { port: Number(port) }),
    ...(icmpType === undefined ? {} : { icmpType: Number(icmpType) }),
    selector: [
      ...['-p', protocol, '--orig-src', source, '--orig-dst', original],
      ...(sourcePort === undefined ? [] : ['--sport', sourcePort, '--dport', values('dport')[0] ?? '']),
      ...(icmpType === undefined ? [] : [family === 4 ? '--icmp-type' : '--icmpv6-type', icmpType]),
    ],
  };
}
