/** Interfaces that can't be a container's, whatever its configuration says. */
import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import type { HostConfig } from '../../policies/config.ts';
import type { InterfaceName } from '../../render/names.ts';

/** Hardware, a bridge, the loopback, an uplink, or what a default route leads to now: LXC couldn't make it. */
export const isHostsOwn = (name: InterfaceName, { uplinks }: Pick<HostConfig, 'uplinks'>): boolean =>
  name === 'lo' || (uplinks !== 'auto' && uplinks.includes(name)) || isHardwareOrBridge(name) || waysOut().has(name);

function isHardwareOrBridge(name: InterfaceName): boolean {
  const path = `/sys/class/net/${name}`;
  try {
    return !readlinkSync(path).includes('/virtual/') || existsSync(`${path}/bridge`);
  } catch {
    // It isn't there.
    return false;
  }
}

/** All configurations are read in one go, and the tables may be long. */
const FRESH_MS = 1_000;
let known: { readonly at: number; readonly names: ReadonlySet<string> } | undefined;

function waysOut(): ReadonlySet<string> {
  const at = performance.now();
  if (known === undefined || at - known.at > FRESH_MS) known = { at, names: new Set([...readIpv4(), ...readIpv6()]) };
  return known.names;
}

const fieldsOf = (file: string): string[][] => {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/));
  } catch {
    // A kernel without that family.
    return [];
  }
};

/** `eth0 00000000 0100A8C0 0003 0 0 0 00000000 …`: interface, destination, …, mask */
const readIpv4 = (): string[] =>
  fieldsOf('/proc/net/route').flatMap(([dev = '', destination, , , , , , mask]) =>
    destination === '00000000' && mask === '00000000' ? [dev] : [],
  );

/** `0…0 00 …`: destination, its length, …, and last the interface; the kernel's own say no to all else, by way of lo. */
const readIpv6 = (): string[] =>
  fieldsOf('/proc/net/ipv6_route').flatMap((fields) =>
    /^0{32}$/.test(fields[0] ?? '') && fields[1] === '00' ? [fields.at(-1) ?? ''] : [],
  );
