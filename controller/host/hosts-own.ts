/** Interfaces that can't be a container's, whatever its configuration says. */
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import type { HostConfig } from '../../policies/config.ts';
import type { InterfaceName } from '../../render/names.ts';

/**
 * Hardware, a bridge, the loopback, an uplink, or what a default route leads to (`waysOut`): LXC couldn't make it. `virtual`: as
 * `listVirtual` tells, for who asks about thousands.
 */
export const isHostsOwn = (
  name: InterfaceName,
  { uplinks }: Pick<HostConfig, 'uplinks'>,
  waysOut: ReadonlySet<string>,
  virtual: ReadonlySet<string> = NONE,
): boolean =>
  name === 'lo' ||
  (uplinks !== 'auto' && uplinks.includes(name)) ||
  isHardwareOrBridge(name, virtual) ||
  waysOut.has(name);

const NONE: ReadonlySet<string> = new Set();

const VIRTUAL = '/sys/devices/virtual/net';

/** Interfaces that are certainly no hardware; not each of these is among them. */
export function listVirtual(): ReadonlySet<string> {
  try {
    return new Set(readdirSync(VIRTUAL));
  } catch {
    return NONE;
  }
}

function isHardwareOrBridge(name: InterfaceName, virtual: ReadonlySet<string>): boolean {
  // Not by the link below /sys/class, to follow which takes twice as long.
  if (virtual.has(name)) return existsSync(`${VIRTUAL}/${name}/bridge`);
  const path = `/sys/class/net/${name}`;
  try {
    return !readlinkSync(path).includes('/virtual/') || existsSync(`${path}/bridge`);
  } catch {
    // It isn't there.
    return false;
  }
}
