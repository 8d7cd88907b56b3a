/** The keys of LXC 5, 6 and 7 besides the network, and what LXC checks of their values. */
import {
  anything,
  arch,
  byteSize,
  capDrop,
  capKeep,
  empty,
  folderName,
  groupIds,
  idmap,
  isNamespace,
  logLevel,
  looseOnOff,
  mountAuto,
  namespaces,
  notEmpty,
  onOff,
  proxySocket,
  relativeFolder,
  resourceLimit,
  signal,
  signed,
  syslogFacility,
  timeOffset,
  unsigned,
  type ValueCheck,
} from './value-checks.ts';

const HOOKS = [
  'autodev',
  'clone',
  'destroy',
  'mount',
  'post-stop',
  'pre-mount',
  'pre-start',
  'start',
  'start-host',
  'stop',
];

/** Matched whole. */
const EXACT: ReadonlyMap<string, ValueCheck> = new Map<string, ValueCheck>([
  ['arch', arch],
  ['apparmor.profile', anything],
  ['apparmor.allow_incomplete', onOff],
  ['apparmor.allow_nesting', onOff],
  ['apparmor.raw', anything],
  ['autodev', onOff],
  ['autodev.tmpfs.size', anything],
  ['cap.drop', capDrop],
  ['cap.keep', capKeep],
  ['cgroup.dir', relativeFolder],
  ['cgroup.dir.monitor', relativeFolder],
  ['cgroup.dir.monitor.pivot', relativeFolder],
  ['cgroup.dir.container', relativeFolder],
  ['cgroup.dir.container.inner', folderName],
  ['cgroup.relative', onOff],
  ['console.buffer.size', byteSize],
  ['console.logfile', anything],
  ['console.path', anything],
  ['console.rotate', onOff],
  ['console.size', byteSize],
  // A name without `=` is taken from the environment of whoever starts the container, which can't be known here.
  ['environment', anything],
  ['environment.runtime', anything],
  ['environment.hooks', anything],
  ['ephemeral', onOff],
  ['execute.cmd', anything],
  ['hook', empty],
  ...HOOKS.map((name): [string, ValueCheck] => [`hook.${name}`, anything]),
  ['hook.version', looseOnOff],
  ['idmap', idmap],
  ['init.cmd', anything],
  ['init.cwd', anything],
  ['init.gid', anything],
  ['init.uid', anything],
  ['init.groups', groupIds],
  ['keyring.session', onOff],
  ['log.file', anything],
  ['log.level', logLevel],
  ['log.syslog', syslogFacility],
  ['monitor.unshare', unsigned],
  ['monitor.signal.pdeath', signal],
  ['mount.auto', mountAuto],
  ['mount.entry', anything],
  ['mount.fstab', notEmpty],
  ['namespace.clone', namespaces],
  ['namespace.keep', namespaces],
  ['namespace.isolated', onOff],
  ['no_new_privs', onOff],
  ['pty.max', unsigned],
  ['rootfs.managed', onOff],
  ['rootfs.mount', anything],
  ['rootfs.options', anything],
  ['rootfs.path', anything],
  ['sched.core', onOff],
  ['seccomp.allow_nesting', looseOnOff],
  ['seccomp.notify.cookie', anything],
  ['seccomp.notify.proxy', proxySocket],
  ['seccomp.profile', anything],
  ['selinux.context', anything],
  ['selinux.context.keyring', anything],
  ['signal.halt', signal],
  ['signal.reboot', signal],
  ['signal.stop', signal],
  ['start.auto', onOff],
  ['start.delay', unsigned],
  ['start.order', signed],
  ['time.offset.boot', timeOffset],
  ['time.offset.monotonic', timeOffset],
  ['tty.dir', anything],
  ['tty.max', unsigned],
]);

/** Names that go on after a dot; with an empty value they may stand alone, which clears them all. */
const OPEN: ReadonlyMap<string, ValueCheck> = new Map([
  ['cgroup', anything],
  ['cgroup2', anything],
  ['prlimit', resourceLimit],
  ['sysctl', anything],
  ['proc', anything],
]);

/** The names that a misspelt one is compared with, each without `lxc.`. */
export const KNOWN_NAMES: readonly string[] = [...EXACT.keys(), ...OPEN.keys(), 'group', 'include', 'uts.name', 'net'];

/** The check for a key (given without `lxc.`), or `undefined` where LXC doesn't know the key. */
export function findCheck(name: string): ValueCheck | undefined {
  const exact = EXACT.get(name);
  if (exact !== undefined) return exact;
  if (name.startsWith('namespace.share.')) return isNamespace(name.slice(16)) ? anything : undefined;
  const dot = name.indexOf('.');
  const inner = OPEN.get(dot < 0 ? name : name.slice(0, dot));
  if (inner === undefined) return undefined;
  return dot < 0 || dot === name.length - 1 ? empty : inner;
}
