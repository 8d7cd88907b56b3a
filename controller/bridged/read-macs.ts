/** The hardware addresses of a running container's NICs, as its network namespace holds them. */

import { type Mac, parseMac } from '../../render/mac.ts';
import type { InterfaceName } from '../../render/names.ts';
import { type Run, runOrThrow } from '../commands/run.ts';
import { parseLinksJson } from './links-json.ts';

/**
 * By host-side veth; the kernel says which interface is the other end of it, whatever that is named there. A root inside
 * may have set another address by the time that it is read, so it needs a second look before it is believed.
 *
 * @param pid of a process in the container's network namespace @throws CommandError
 */
export async function readMacs(
  run: Run,
  pid: number,
  veths: readonly InterfaceName[],
): Promise<Map<InterfaceName, Mac>> {
  const macs = new Map<InterfaceName, Mac>();
  if (veths.length === 0) return macs;
  const [outside, inside] = await Promise.all([
    runOrThrow(run, 'ip', ['-j', 'link', 'show', 'type', 'veth']),
    runOrThrow(run, 'nsenter', ['-t', String(pid), '-n', '--', 'ip', '-j', 'link', 'show', 'type', 'veth']),
  ]);
  const peers = new Map(entries(outside).map(({ ifname, link_index: peer }) => [ifname, peer]));
  const addresses = new Map(entries(inside).map(({ ifindex, address }) => [ifindex, address]));
  for (const veth of veths) {
    const address = addresses.get(peers.get(veth));
    const mac = typeof address === 'string' ? parseMac(address) : undefined;
    if (mac !== undefined) macs.set(veth, mac);
  }
  return macs;
}

type Entry = Readonly<Record<string, unknown>>;

function entries(json: string): Entry[] {
  const links = parseLinksJson(json);
  return Array.isArray(links) ? links.filter((link): link is Entry => typeof link === 'object' && link !== null) : [];
}
