/** What a pass came to, as signals and properties. */
import { VERSION } from '../cli/version.ts';
import type { Report } from '../status/report.ts';
import type { PropertyValues } from './interface.ts';
import type { BusService } from './service.ts';

export function tellReport({ outcome, raised }: Report, service: Pick<BusService, 'emit' | 'propertiesChanged'>): void {
  const { before, applied, assembled, repaired } = outcome;
  const fresh = new Map<string, string[]>();
  const changed = new Set<string>();
  for (const [key, nic] of applied.enforced.nics) {
    const old = before?.nics.get(key);
    if (old === nic) continue;
    // After a start of the daemon, what is in force is news to nobody.
    if (old === undefined && before !== undefined) {
      // What has a broken policy is shut, or about to be refused.
      if (assembled.policies.get(key.slice(0, key.lastIndexOf('/')))?.compiled.ok !== true) continue;
      fresh.set(nic.container, [...(fresh.get(nic.container) ?? []), nic.hostVeth]);
    } else if (old !== undefined && (old.egress !== nic.egress || old.ingress !== nic.ingress)) {
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
  EnforcedCount: new Set([...(latest?.outcome.applied.enforced.nics.values() ?? [])].map(({ container }) => container))
    .size,
  ProblemCount: latest?.problemCount ?? 0,
  RepairCount: latest?.repairCount ?? 0,
});
