/** Keys of LXC 1 and 2, which LXC refuses since 3.0, and what stands for them today. */

/** `null`: nothing took its place. Without `lxc.`, network keys apart. */
const RENAMED: ReadonlyMap<string, string | null> = new Map<string, string | null>([
  ['utsname', 'uts.name'],
  ['rootfs', 'rootfs.path'],
  ['rootfs.backend', 'rootfs.path'],
  ['mount', 'mount.fstab'],
  ['tty', 'tty.max'],
  ['pts', 'pty.max'],
  ['devttydir', 'tty.dir'],
  ['console', 'console.path'],
  ['kmsg', null],
  ['pivotdir', null],
  ['aa_profile', 'apparmor.profile'],
  ['aa_allow_incomplete', 'apparmor.allow_incomplete'],
  ['se_context', 'selinux.context'],
  ['seccomp', 'seccomp.profile'],
  ['id_map', 'idmap'],
  ['init_cmd', 'init.cmd'],
  ['init_uid', 'init.uid'],
  ['init_gid', 'init.gid'],
  ['haltsignal', 'signal.halt'],
  ['rebootsignal', 'signal.reboot'],
  ['stopsignal', 'signal.stop'],
  ['logfile', 'log.file'],
  ['loglevel', 'log.level'],
  ['syslog', 'log.syslog'],
]);

/** Today's name (without `lxc.`), `null` for a key that is gone, `undefined` for one that was never legacy. */
export function findSuccessor(name: string): string | null | undefined {
  return name.startsWith('limit.') ? `prlimit.${name.slice(6)}` : RENAMED.get(name);
}

const NETWORK_NAMES: ReadonlyMap<string, string> = new Map([
  ['type', 'type'],
  ['flags', 'flags'],
  ['link', 'link'],
  ['name', 'name'],
  ['hwaddr', 'hwaddr'],
  ['mtu', 'mtu'],
  ['script.up', 'script.up'],
  ['script.down', 'script.down'],
  ['ipv4', 'ipv4.address'],
  ['ipv6', 'ipv6.address'],
  ['ipv4.gateway', 'ipv4.gateway'],
  ['ipv6.gateway', 'ipv6.gateway'],
  ['veth.pair', 'veth.pair'],
  ['macvlan.mode', 'macvlan.mode'],
  ['vlan.id', 'vlan.id'],
]);

/** `ipv4` of `lxc.network.ipv4` is today's `ipv4.address`. */
export const findNetworkSuccessor = (name: string): string | undefined => NETWORK_NAMES.get(name);
