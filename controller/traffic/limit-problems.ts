/** Limits that aren't in force, as problems of the policy's lines that ask for them. */
import { policyPath } from '../../policies/policy-files.ts';
import type { Problem } from '../../policies/problem.ts';
import type { BandwidthLimit, NicState } from '../../render/desired.ts';
import { limiterName } from '../../render/names.ts';
import type { TrafficFailure } from '../../render/traffic.ts';

/** The container runs all the same. */
export function limitProblems({ nic, hostVeth, limits }: NicState, failures: readonly TrafficFailure[]): Problem[] {
  if (limits === undefined || failures.length === 0) return [];
  const limiter = limiterName(hostVeth);
  const whys = (direction: 'egress' | 'ingress'): string[] =>
    failures.flatMap(({ dev, part, why }) => {
      const about = dev === limiter || (dev === hostVeth && part === 'redirect') ? 'egress' : 'ingress';
      return (dev === limiter || dev === hostVeth) && about === direction ? [why] : [];
    });
  const about = (direction: 'egress' | 'ingress', limit: BandwidthLimit | undefined): Problem[] => {
    const [why] = whys(direction);
    if (limit === undefined || why === undefined) return [];
    const { file, line } = limit.origin;
    const message = `the limit of ${nic}'s ${direction} isn't in force: ${why}`;
    return [{ file: policyPath(file), line, column: 1, message, severity: 'error' }];
  };
  return [...about('egress', limits.egress), ...about('ingress', limits.ingress)];
}
