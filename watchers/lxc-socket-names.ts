/** The abstract names of LXC's sockets, as LXC 5 and 6 make them (commands_utils.c, monitor.c). */

const SUN_PATH = 108;

/** FNV-1a, 64 bits, as 16 hex digits. */
function fnv1a(text: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(text)) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
  return hash.toString(16).padStart(16, '0');
}

/**
 * A container's command socket, without the leading `@`: the plain name, and where that is near or over what a socket's
 * name may hold, the hashed one as well, since the limit moved by a byte or two between versions.
 */
export function commandSocketNames(lxcPath: string, name: string): string[] {
  const plain = `${lxcPath}/${name}/command`;
  // To hash thousands of names takes long.
  if (Buffer.byteLength(plain) < SUN_PATH - 8) return [plain];
  return [plain, `lxc/${fnv1a(`${lxcPath}/${name}`)}/command`];
}

/** lxc-monitord's socket, without the leading `@`. */
export const monitorSocketName = (lxcPath: string): string => `lxc/${fnv1a(`lxc/${lxcPath}/monitor-sock`)}/${lxcPath}`;

/** LXC's tools strip trailing slashes before they make names of a path. */
export const plainLxcPath = (lxcPath: string): string => lxcPath.replace(/(?<=.)\/+$/, '');
