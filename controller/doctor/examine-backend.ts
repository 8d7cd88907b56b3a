/** Our own rules, where another backend than the one that serves has some, and what the one that serves can't do; pure. */
import { type ChosenBackend, variantOf } from '../apply/choose-backend.ts';
import type { Finding } from './finding.ts';

export interface BackendFacts {
  /** That serves, or why none can. */
  readonly chosen: ChosenBackend | { readonly why: string };
  /** Which have rules of ours in the kernel. */
  readonly holders: ReadonlySet<ChosenBackend>;
  /** Where the daemon remembers which it has to clean up. */
  readonly memory: string;
}

export function examineBackend({ chosen, holders, memory }: BackendFacts): Finding[] {
  const aboutHost = { container: null, mend: null } as const;
  if (typeof chosen === 'object') return [{ ...aboutHost, severity: 'error', message: chosen.why }];
  const leftOver = [...holders].filter((name) => name !== chosen);
  return [
    ...leftOver.map(
      (name): Finding => ({
        ...{ ...aboutHost, severity: 'error' },
        message: `${chosen} serves, and the kernel holds rules of routewall's by ${name} too: they drop what has come since`,
        // The daemon takes away what it remembers, as after each change of the backend.
        mend: `echo ${name} >>${memory} && systemctl restart routewall`,
      }),
    ),
    ...(variantOf(chosen) === undefined ? [] : [{ ...aboutHost, severity: 'note', message: NOT_RECORDED } as const]),
  ];
}

const NOT_RECORDED =
  'iptables records no refusals: denials and learn have nothing to tell, and metrics have no series of them; log: true in a policy writes them to the log';
