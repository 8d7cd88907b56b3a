/** What a pass came to, as signals and properties. */
import { changedNicKeys } from '../../render/changed-nics.ts';
import { VERSION } from '../cli/version.ts';
import { enforcedCount } from '../status/enforced-count.ts';
import type { Report } from '../status/report.ts';
import type { PropertyValues } from './interface.ts';
import type { BusService } from './service.ts';

export function tellReport({ outcome, raised }: Report, service: Pick<BusService, 'emit' | 'propertiesChanged'>): void {
  const { before, applied, assembled, repaired } = outcome;
  const fresh = new Map<string, string[]>();
  const changed = new Set<string>();
  // After a start of the daemon, what is in force is news to nobody.
  for (const key of before === undefined ? [] : changedNicKeys(before, applied.enforced)) {
    const [old, nic] = [before?.nics.get(key), applied.enforced.nics.get(key)];
    if (nic === undefined) continue;
    if (old === undefined) {
      // What has a broken policy is shut, or about to be refused.
      if (assembled.policies.get(key.slice(0, key.lastIndexOf('/')))?.compiled.ok !== true) continue;
      fresh.set(nic.container, [...(fresh.get(nic.container) ?? []), nic.hostVeth]);
    } else if (old.egress !== nic.egress || old.ingress !== nic.ingress) {
      changed.add(nic.container);
    }
  }
  for (const [container, veths] of fresh) service.emit('ContainerAdmitted', container, veths);
  if (changed.size > 0) service.emit('PolicyApplied', [...changed]);
  if (repaired.length > 0) service.emit('DriftRepaired', repaired);
  for (const [problem, severity] of raised) service.emit('ProblemRaised', severity, problem);
  service.propertiesChanged();
}

export const describeProperties = (latest: Report | undefined): PropertyValues => ({
  Version: VERSION,
  Since: latest?.since ?? '',
  EnforcedAt: latest?.enforcedAt ?? '',
  ContainerCount: latest?.reader.known.size ?? 0,
  EnforcedCount: latest === undefined ? 0 : enforcedCount(latest.outcome.applied.enforced.nics),
  ProblemCount: latest?.problemCount ?? 0,
  RepairCount: latest?.repairCount ?? 0,
});
