/** Containers that run where nobody looks; pure. */
import type { Elsewhere } from '../host/elsewhere.ts';
import type { Finding } from './finding.ts';

export const examineElsewhere = (elsewhere: readonly Elsewhere[], lxcPaths: readonly string[]): Finding[] =>
  elsewhere.map(({ container, lxcPath }) => ({
    severity: 'warning',
    container: null,
    message: `${container} runs from ${lxcPath}, which lxcPaths doesn't name: no policy is in force for it, and a routed one gets nothing`,
    mend: `lxcPaths: [${[...lxcPaths, lxcPath].map((path) => JSON.stringify(path)).join(', ')}] in routewall.yaml`,
  }));
