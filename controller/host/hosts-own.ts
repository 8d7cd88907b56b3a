/** Interfaces that can't be a container's, whatever its configuration says. */
import { existsSync, readlinkSync } from 'node:fs';
import type { HostConfig } from '../../policies/config.ts';
import type { InterfaceName } from '../../render/names.ts';

/** Hardware, a bridge, the loopback, an uplink, or what a default route leads to (`waysOut`): LXC couldn't make it. */
export const isHostsOwn = (
  name: InterfaceName,
  { uplinks }: Pick<HostConfig, 'uplinks'>,
  waysOut: ReadonlySet<string>,
): boolean =>
  name === 'lo' || (uplinks !== 'auto' && uplinks.includes(name)) || isHardwareOrBridge(name) || waysOut.has(name);

function isHardwareOrBridge(name: InterfaceName): boolean {
  const path = `/sys/class/net/${name}`;
  try {
    return !readlinkSync(path).includes('/virtual/') || existsSync(`${path}/bridge`);
  } catch {
    // It isn't there.
    return false;
  }
}
