/** Whether LXC takes a value for a key that means nothing to us, but whose bad value makes the whole load fail. */
import { parseSigned, parseUnsigned } from './numbers.ts';

/** `undefined`: taken. Otherwise what would be right, as the end of "must be …". */
export type ValueCheck = (value: string) => string | undefined;

export const anything: ValueCheck = () => undefined;

const check =
  (expected: string, isGood: (value: string) => boolean): ValueCheck =>
  (value) =>
    isGood(value) ? undefined : expected;

/** For the keys where an empty value takes the setting back. */
const orEmpty =
  (inner: ValueCheck): ValueCheck =>
  (value) =>
    value === '' ? undefined : inner(value);

export const onOff = orEmpty(check('0 or 1', (value) => [0, 1].includes(parseUnsigned(value) ?? -1)));
export const unsigned = orEmpty(check('a number', (value) => parseUnsigned(value) !== undefined));
export const signed = orEmpty(check('a number', (value) => parseSigned(value) !== undefined));

/** LXC 5 takes any word for these, by mistake (for `-1` it depends on an earlier line), but no number from 2 on. */
export const looseOnOff = check('0 or 1', (value) => (parseUnsigned(value) ?? 0) <= 1);

export const notEmpty = check('a path', (value) => value !== '');
export const empty = check('empty', (value) => value === '');

const SIGNAL =
  /^(sig(rtmin\+\d+|rtmax-\d+|hup|int|quit|ill|abrt|fpe|kill|segv|pipe|alrm|term|usr1|usr2|chld|cont|stop|tstp|ttin|ttou|trap|iot|emt|bus|stkflt|cld|urg|xcpu|xfsz|vtalrm|prof|winch|io|poll|info|lost|pwr|unused|sys))$/i;
const isSignal = (value: string): boolean =>
  /^\d/.test(value) ? parseUnsigned(value) !== undefined : SIGNAL.test(value);
export const signal = orEmpty(check('a signal such as SIGPWR or SIGRTMIN+3', isSignal));

const ARCHES = new Set(
  `arm armel armhf armv7l athlon i386 i486 i586 i686 linux32 mips mipsel ppc powerpc x86
  aarch64 amd64 arm64 linux64 loongarch64 loong64 mips64 mips64el ppc64 ppc64el ppc64le powerpc64 riscv64 s390x x86_64`.split(
    /\s+/,
  ),
);
export const arch = check('an architecture such as amd64 or arm64', (value) => ARCHES.has(value));

const MOUNT =
  /^(proc(:mixed|:rw)?|sys(:ro|:mixed|:rw)?|cgroup(-full)?(:mixed|:ro|:rw)?(:force)?|cgroup2(:ro)?(:force)?|shmounts:.+)$/;
export const mountAuto = orEmpty(
  check('words such as proc:mixed, sys:ro, cgroup:mixed', (value) => words(value).every((word) => MOUNT.test(word))),
);

const CAPABILITIES = new Set(
  `chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service
  net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin
  sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override
  mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore`.split(/\s+/),
);
const isCapability = (word: string): boolean => CAPABILITIES.has(word) || parseUnsigned(word) !== undefined;
export const capDrop = orEmpty(check('names of capabilities', (value) => words(value).every(isCapability)));
export const capKeep = orEmpty(
  check('names of capabilities, or none', (value) =>
    words(value).every((word) => word === 'none' || isCapability(word)),
  ),
);

const NAMESPACE = /^(user|mnt|pid|uts|ipc|net|cgroup|time)$/;
export const namespaces = orEmpty(
  check('names of namespaces such as net ipc', (value) => words(value).every((word) => NAMESPACE.test(word))),
);
export const isNamespace = (word: string): boolean => NAMESPACE.test(word);

const IDMAP = /^[ug][ \t]+\S+[ \t]+\S+[ \t]+\S+[ \t]*$/;
export const idmap = orEmpty(
  check(
    'a map such as u 0 100000 65536',
    (value) =>
      IDMAP.test(value) &&
      words(value)
        .slice(1)
        .every((word) => /^(0x[\da-f]+|\d+)$/i.test(word)),
  ),
);

export const resourceLimit = orEmpty(
  check('SOFT or SOFT:HARD, numbers or unlimited', (value) => {
    const limits = value.split(':').map((limit) => limit.trim());
    return limits.length <= 2 && limits.every((limit) => /^(unlimited|\d*)$/.test(limit));
  }),
);

export const byteSize = orEmpty(
  check('auto or a size such as 128KB', (value) => value === 'auto' || /^\d+\s*(b|kb|mb|gb)?$/i.test(value)),
);

const OFFSET = /^[+-]?\d+\s*(h|m|s|ms|us|ns)$/;
export const timeOffset = orEmpty(check('a number with a unit such as 10s', (value) => OFFSET.test(value)));

export const relativeFolder = orEmpty(
  check('a relative path without ..', (value) => !value.startsWith('/') && !value.split('/').includes('..')),
);
export const folderName = orEmpty(
  check('the name of one folder', (value) => !value.includes('/') && value !== '.' && value !== '..'),
);

export const groupIds = orEmpty(
  check('numbers between commas', (value) => {
    const ids = value.split(',').filter((id) => id !== '');
    return ids.length > 0 && ids.every((id) => parseUnsigned(id) !== undefined);
  }),
);

export const proxySocket = orEmpty(check('unix:PATH', (value) => /^unix:./.test(value)));

const LEVEL = /^(\d+|trace|debug|info|notice|warn|error|crit|alert|fatal|notset)$/i;
export const logLevel = orEmpty(check('a level such as INFO or a number', (value) => LEVEL.test(value)));

const FACILITY = /^(auth|authpriv|cron|daemon|ftp|kern|lpr|mail|news|syslog|user|uucp|local[0-7])$/;
export const syslogFacility = orEmpty(check('a facility such as daemon', (value) => FACILITY.test(value)));

function words(text: string): string[] {
  return text.split(/[ \t]+/).filter((word) => word !== '');
}
