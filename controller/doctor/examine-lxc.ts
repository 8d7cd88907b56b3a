/** LXC configurations of filtered containers that give away what the rules rest on; pure. */
import type { LxcConfig, LxcSetting } from '../../watchers/lxc-config/config.ts';
import type { Finding } from './finding.ts';

/** `isGuarded`: whether an interface of that name gets nothing before anyone claims it. */
export interface ExaminedConfig {
  readonly container: string;
  readonly lxc: LxcConfig;
  readonly isGuarded: (veth: string) => boolean;
}

export function examineLxc({ container, lxc, isGuarded }: ExaminedConfig): Finding[] {
  const settings = lxc.settings ?? [];
  const find = (severity: Finding['severity'], message: string, mend: string): Finding => ({
    ...{ severity, container, message, mend },
  });
  const findings = lxc.nics.flatMap(({ vethPair, place, index }) =>
    vethPair === undefined || vethPair === '' || isGuarded(vethPair)
      ? []
      : find(
          'note',
          `veth.pair ${vethPair} is no name that guard covers: a container that starts before routewall has read this configuration is not shut until it has`,
          `lxc.net.${index}.veth.pair = veth${vethPair.slice(0, 11)} (${at(place)}), or guard: ["veth*", "${vethPair}"] in routewall.yaml`,
        ),
  );
  findings.push(...withoutGateway(lxc).map(({ message, mend }) => find('note', message, mend)));
  // With users mapped, root in there is nobody on the host.
  if (settings.some(({ key }) => key === 'idmap')) return findings;
  const unconfined = settings.findLast(({ key }) => key === 'apparmor.profile')?.value === 'unconfined';
  for (const { setting, word, does } of writableKernel(settings))
    findings.push(
      find(
        unconfined ? 'error' : 'warning',
        `lxc.mount.auto = ${word} in a privileged container: ${does}${unconfined ? '' : ', where AppArmor lets it'}, and no rule holds against that`,
        `lxc.mount.auto = ${word.replace(/:rw.*/, ':mixed')} (${at(setting.place)}), or users of its own by lxc.idmap`,
      ),
    );
  for (const { capability, severity, does } of DANGEROUS)
    if (keeps(settings, capability))
      findings.push(
        find(
          severity,
          `${capability} is left to a privileged container: ${does}, and no rule holds against that`,
          `lxc.cap.drop = ${capability}, or users of its own by lxc.idmap (${lxc.file})`,
        ),
      );
  return findings;
}

/** The container may make its own routes; with a bridge or a second NIC, others may. */
function withoutGateway({ nics }: LxcConfig): { message: string; mend: string }[] {
  const [nic] = nics;
  if (nic === undefined || nics.length > 1 || nic.type !== 'veth') return [];
  if (nic.vethMode === 'bridge' && nic.link !== undefined) return [];
  const families = [
    { name: 'IPv4', key: 'ipv4', by: '169.254.0.1', addresses: nic.ipv4Addresses, gateway: nic.ipv4Gateway },
    { name: 'IPv6', key: 'ipv6', by: 'fe80::1', addresses: nic.ipv6Addresses, gateway: nic.ipv6Gateway },
  ];
  return families.flatMap(({ name, key, by, addresses, gateway }) => {
    const [first] = addresses;
    if (first === undefined || gateway !== null) return [];
    return {
      message: `${nic.name ?? `#${nic.index}`} has an ${name} address and no ${key}.gateway: it has no route to anybody unless one is made inside`,
      mend: `lxc.net.${nic.index}.${key}.gateway = ${by} (${at(first.place)})`,
    };
  });
}

const at = ({ file, line }: LxcSetting['place']): string => `${file}:${line}`;

const DANGEROUS = [
  { capability: 'sys_module', severity: 'error', does: 'it loads code into the kernel' },
  { capability: 'sys_rawio', severity: 'error', does: "it reads and writes the machine's memory and disks" },
  // LXC's own default, which whoever trusts a container may leave it.
  {
    capability: 'net_admin',
    severity: 'note',
    does: "it can put interfaces of its own on the host's uplink (macvlan), and change the host's links",
  },
] as const;

const WRITABLE: Readonly<Record<string, string>> = {
  proc: "it sets the host's programs to run in /proc/sys/kernel, as root of the host",
  sys: "it writes the host's devices and drivers in /sys",
};

function writableKernel(settings: readonly LxcSetting[]): { setting: LxcSetting; word: string; does: string }[] {
  return settings
    .filter(({ key }) => key === 'mount.auto')
    .flatMap((setting) =>
      setting.value.split(/\s+/).flatMap((word) => {
        const [, name = ''] = /^(proc|sys):rw$/.exec(word) ?? [];
        const does = WRITABLE[name];
        return does === undefined ? [] : [{ setting, word, does }];
      }),
    );
}

/** What it isn't told to keep it drops, where it is told any; else it keeps what it isn't told to drop. */
function keeps(settings: readonly LxcSetting[], capability: string): boolean {
  const words = (key: string): string[] =>
    settings.filter((one) => one.key === key).flatMap(({ value }) => value.split(/\s+/));
  const kept = words('cap.keep');
  return kept.length > 0 ? kept.includes(capability) : !words('cap.drop').includes(capability);
}
