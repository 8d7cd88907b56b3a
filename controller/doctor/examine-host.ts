/** The host's own programs, where they work against us; pure. */
import { examineSysctls, type SysctlFacts } from './examine-sysctls.ts';
import { examineVersions, type Versions } from './examine-versions.ts';
import type { Finding } from './finding.ts';

export interface HostFacts extends SysctlFacts {
  /** Tables of the old iptables whose rules nobody can read, such as `ip filter`. */
  readonly unreadTables: readonly string[];
  readonly versions: Versions;
  /** Programs that aren't there, with what for. */
  readonly missing: readonly { readonly program: string; readonly why: string; readonly package: string }[];
  /** Of containers that run or are configured: NICs that nothing of ours stands before. */
  readonly unfiltered: readonly { readonly container: string; readonly nic: string; readonly type: string }[];
}

export function examineHost(facts: HostFacts): Finding[] {
  return [
    ...facts.unreadTables.map(unread),
    ...examineSysctls(facts),
    ...facts.missing.map(
      ({ program, why, package: name }): Finding => ({
        ...{ severity: 'error', container: null, message: `${program} is not there: ${why}` },
        mend: `apt install ${name}`,
      }),
    ),
    ...examineVersions(facts.versions),
    ...facts.unfiltered.map(
      ({ container, nic, type }): Finding => ({
        severity: 'warning',
        container,
        message: `${nic} is ${type}: nothing of routewall filters what passes it`,
        mend: `lxc.net.N.type = veth, without a link, in the configuration of ${container}`,
      }),
    ),
  ];
}

const unread = (table: string): Finding => ({
  severity: 'warning',
  container: null,
  message: `the old iptables has a table of its own (${table}), and its program isn't there to tell what it drops: whatever policies say`,
  mend: 'apt install iptables',
});
