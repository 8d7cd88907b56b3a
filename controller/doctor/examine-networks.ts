/** Networks of containers that no rule stands before; pure. */
import type { Container } from '../../policies/endpoint.ts';
import { nameUnenforceable, whyUnenforceable } from '../../policies/unenforceable.ts';
import type { Finding } from './finding.ts';

export function examineNetworks(containers: readonly Container[]): Finding[] {
  return containers.flatMap(({ name, unenforceable = [] }) =>
    unenforceable.map((nic): Finding => {
      const { why, instead } = whyUnenforceable(nic);
      return {
        severity: nic.kind === 'host' ? 'error' : 'warning',
        container: name,
        message: `${nameUnenforceable(nic)}: no policy can be enforced, since ${why}`,
        mend: `${instead} (${nic.place.file}:${nic.place.line})`,
      };
    }),
  );
}
