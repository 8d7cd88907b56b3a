/** Asking the kernel for what the ruleset has recorded. */

import { CommandError, type Run } from '../commands/run.ts';
import type { HostInputs } from '../pass/assemble.ts';
import { CliError, EXIT } from './exit.ts';
import type { Invocation } from './options.ts';

/** @throws CliError where nobody but root may ask, and where the kernel doesn't hold such sets. */
export async function requireRecords<T>(
  { io }: Invocation,
  { config, backend }: Pick<HostInputs, 'config' | 'backend'>,
  ask: (run: Run) => Promise<T>,
): Promise<T> {
  if (!io.isRoot) throw new CliError(EXIT.refused, 'only root can read what the kernel has recorded');
  if ((backend ?? config.backend) === 'iptables') throw new CliError(EXIT.refused, NOT_RECORDED);
  try {
    return await ask(await io.loadRun());
  } catch (cause) {
    if (!(cause instanceof CommandError) || !cause.message.includes('No such file')) throw cause;
    const message = "the kernel doesn't hold this release's rules: systemctl start routewall";
    throw new CliError(EXIT.refused, message, { cause });
  }
}

const NOT_RECORDED =
  "where iptables is the backend nobody records who was refused: put log: true into a rule or beside a default, and read the host's log";
