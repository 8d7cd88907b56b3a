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
  ];
}

const unread = (table: string): Finding => ({
  severity: 'warning',
  container: null,
  message: `the old iptables has a table of its own (${table}), and its program isn't there to tell what it drops: whatever policies say`,
  mend: 'apt install iptables',
});
