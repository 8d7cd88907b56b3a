/** The kernel's settings and who resets them, where they work against containers; pure. */
import type { Sysctl } from '../../render/desired.ts';
import type { Finding } from './finding.ts';
import type { Setting } from './setting-files.ts';

export interface SysctlFacts {
  /** Below /proc/sys; `undefined` where there is no such key. */
  readonly sysctl: (key: string) => string | undefined;
  readonly uplinks: readonly string[];
  /** What running containers need, with whom it is for. */
  readonly needed: readonly { readonly container: string; readonly sysctl: Sysctl }[];
  /** Interfaces that are to reach a container by IPv6. */
  readonly ipv6Links: readonly { readonly container: string; readonly dev: string }[];
  /** What files set at the boot, or when an interface comes: the last one that is about a key decides. */
  readonly settings: readonly Setting[];
}

const host = (severity: Finding['severity'], message: string, mend: string | null): Finding => ({
  ...{ severity, container: null, message, mend },
});

const dotted = (key: string): string => key.replaceAll('.', '\u0000').replaceAll('/', '.').replaceAll('\u0000', '/');

export function examineSysctls(facts: SysctlFacts): Finding[] {
  return [...examineReversePath(facts), ...examineNeeded(facts), ...examineIpv6(facts), ...examineFiles(facts)];
}

/** 1 where it is off on that interface; a kernel that was told to boot without IPv6 has no such key. */
export const ipv6Switch = (dev: string): string => `net/ipv6/conf/${dev}/disable_ipv6`;

/** One finding where it is off for all, for the first container that has addresses of it. */
function examineIpv6({ sysctl, ipv6Links }: SysctlFacts): Finding[] {
  const forAll = sysctl(ipv6Switch('all'));
  const off = ipv6Links.filter(({ dev }) => forAll === undefined || sysctl(ipv6Switch(dev)) === '1');
  const mendOf = (dev: string): string => {
    if (forAll === undefined) return 'no ipv6.disable=1 among the options that the kernel boots with';
    const names = forAll === '1' ? ['all'] : sysctl(ipv6Switch('default')) === '1' ? ['default', dev] : [dev];
    return `sysctl -w ${names.map((name) => `${dotted(ipv6Switch(name))}=0`).join(' ')}`;
  };
  return off.slice(0, forAll === '0' ? off.length : 1).map(({ container, dev }) => ({
    severity: 'error',
    container,
    message: `${forAll === undefined ? 'the kernel has no IPv6' : `IPv6 is switched off on ${dev}`}: its IPv6 addresses reach nobody, and nobody reaches them`,
    mend: mendOf(dev),
  }));
}

/** The kernel takes the greater of `all` and the interface's own: 0 none, 1 strict, 2 loose. */
function examineReversePath({ sysctl, uplinks }: SysctlFacts): Finding[] {
  const strictness = (name: string): number => Number(sysctl(`net/ipv4/conf/${name}/rp_filter`) ?? 0);
  const all = strictness('all');
  return uplinks
    .filter((name) => Math.max(all, strictness(name)) === 1)
    .map((name) => {
      const where = all === 1 ? 'all' : name;
      return host(
        uplinks.length > 1 ? 'warning' : 'note',
        `rp_filter of ${name} is strict${where === 'all' ? ', by that of all interfaces' : ''}: what comes in there for a container, while the way back is by another interface, is dropped`,
        `sysctl -w net.ipv4.conf.${dotted(name)}.rp_filter=2`,
      );
    });
}

/** One finding for each key, for the first container that needs it. */
function examineNeeded({ sysctl, needed }: SysctlFacts): Finding[] {
  const found = new Map<string, Finding>();
  for (const { container, sysctl: wanted } of needed) {
    const value = sysctl(wanted.key);
    const isFine = value === undefined || value === wanted.value;
    if (isFine || found.has(wanted.key) || (wanted.replaces !== undefined && value !== wanted.replaces)) continue;
    const key = dotted(wanted.key);
    found.set(wanted.key, {
      severity: 'error',
      container,
      message: `${key} is ${value}, by another program or while the daemon is away, and it needs ${wanted.value}: ${wanted.reason}`,
      mend: `sysctl -w ${key}=${wanted.value}`,
    });
  }
  return [...found.values()];
}

/** What only some other program may do again, at a boot, a reload, or when an interface comes. */
function examineFiles({ needed, settings }: SysctlFacts): Finding[] {
  const found = new Map<string, Finding>();
  for (const { sysctl: wanted } of needed) {
    const setting = settings.findLast(({ matches }) => matches(wanted.key));
    if (setting === undefined || setting.value === wanted.value || (wanted.replaces ?? setting.value) !== setting.value)
      continue;
    found.set(
      `${setting.file}:${setting.line}`,
      host(
        'warning',
        `${setting.file}:${setting.line} has ${setting.by} set ${setting.text}, and containers need ${dotted(wanted.key)} = ${wanted.value}: ${wanted.reason}`,
        setting.mend(wanted.value),
      ),
    );
  }
  return [...found.values()];
}
