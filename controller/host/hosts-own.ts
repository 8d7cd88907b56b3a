/** Interfaces that can't be a container's, whatever its configuration says. */
import { existsSync, readlinkSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import type { HostConfig } from '../../policies/config.ts';
import type { InterfaceName } from '../../render/names.ts';
import type { Run } from '../commands/run.ts';
import { readJson, records, text } from '../kernel/ip-json.ts';

/**
 * Hardware, a bridge, the loopback, an uplink, or what a default route leads to (`waysOut`): LXC couldn't make it. `plain`: as
 * `readPlain` tells, for who asks about thousands.
 */
export const isHostsOwn = (
  name: InterfaceName,
  { uplinks }: Pick<HostConfig, 'uplinks'>,
  waysOut: ReadonlySet<string>,
  plain: ReadonlySet<string> = NONE,
): boolean =>
  name === 'lo' ||
  (uplinks !== 'auto' && uplinks.includes(name)) ||
  (!plain.has(name) && isHardwareOrBridge(name)) ||
  waysOut.has(name);

const NONE: ReadonlySet<string> = new Set();

/** Interfaces that are neither hardware nor bridges, by one question for all; none where that can't be asked. */
export async function readPlain(run: Run): Promise<ReadonlySet<string>> {
  try {
    const virtual = await readdir('/sys/devices/virtual/net');
    const bridges = records(await readJson(run, ['link', 'show', 'type', 'bridge'])).map(({ ifname }) => text(ifname));
    const isBridge = new Set(bridges);
    return new Set(virtual.filter((name) => !isBridge.has(name)));
  } catch {
    return NONE;
  }
}

function isHardwareOrBridge(name: InterfaceName): boolean {
  const path = `/sys/class/net/${name}`;
  try {
    return !readlinkSync(path).includes('/virtual/') || existsSync(`${path}/bridge`);
  } catch {
    // It isn't there.
    return false;
  }
}
