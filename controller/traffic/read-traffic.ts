/** What tc and the ifbs hold, ours and others'. */
import { readdir } from 'node:fs/promises';
import { type InterfaceName, isLimiterName, parseInterfaceName } from '../../render/names.ts';
import type { ObservedDevice, ObservedTraffic } from '../../render/traffic.ts';
import { parseFilters, parseQdiscs } from '../../render/traffic-listing.ts';
import { CommandError, type Run, runOrThrow } from '../commands/run.ts';

/** /proc/sys/net shows the reader's own network namespace, and costs no fork. */
const LINKS = '/proc/sys/net/ipv4/conf';

/** Filters only of those in `devs`, and of all where that is left out. @throws CommandError */
export async function readTraffic(run: Run, devs?: ReadonlySet<InterfaceName>): Promise<ObservedTraffic> {
  const names = (await readdir(LINKS)).flatMap((name) => parseInterfaceName(name) ?? []);
  const qdiscs = parseQdiscs(parseTcJson(await runOrThrow(run, 'tc', ['-j', 'qdisc', 'show'])));
  // One that is down has none.
  const devices = new Map(names.map((name) => [name, qdiscs.get(name) ?? BARE]));
  const asked = [...devices].filter(([name, { ingress }]) => ingress.qdisc !== 'none' && (devs?.has(name) ?? true));
  for (const [name, ingress] of await readFilters(run, asked)) devices.set(name, ingress);
  return { devices, limiters: new Set(names.filter(isLimiterName)) };
}

const BARE: ObservedDevice = { root: { kind: 'none' }, ingress: { qdisc: 'none', ours: [], foreign: 0 } };

/** An interface may go meanwhile, and then nothing stands in its line. */
async function readFilters(
  run: Run,
  asked: readonly (readonly [InterfaceName, ObservedDevice])[],
): Promise<[InterfaceName, ObservedDevice][]> {
  if (asked.length === 0) return [];
  const input = asked.map(([name]) => `filter show dev ${name} ingress\n`).join('');
  const { stdout, stderr } = await run('tc', ['-j', '-force', '-batch', '-'], { input });
  const failed = new Set([...stderr.matchAll(/Command failed -:(\d+)/g)].map(([, line]) => Number(line) - 1));
  const told = asked.filter((_, index) => !failed.has(index));
  const lines = stdout.split('\n').filter((line) => line.startsWith('['));
  if (lines.length !== told.length) throw new CommandError(`tc filter show: ${stderr.trim() || 'no list'}`);
  return told.map(([name, device], index) => {
    const ingress = { ...device.ingress, ...parseFilters(parseTcJson(lines[index] ?? '')) };
    return [name, { ...device, ingress }];
  });
}

/** What `tc -j` prints. @throws CommandError */
export function parseTcJson(text: string): unknown {
  try {
    return text.trim() === '' ? [] : JSON.parse(text);
  } catch (cause) {
    throw new CommandError('tc -j: no JSON', { cause });
  }
}
