/** `routewall daemon`: the service. */

import { formatProblem } from '../../policies/problem.ts';
import { runDaemon } from '../daemon.ts';
import { createLog } from '../log.ts';
import type { Invocation } from './options.ts';
import { readConfig } from './read-config.ts';

export interface DaemonFlags {
  readonly once: boolean;
  readonly debug: boolean;
}

export async function runDaemonCommand({ io, shared }: Invocation, { once, debug }: DaemonFlags): Promise<number> {
  const log = createLog({ journal: io.env['JOURNAL_STREAM'] !== undefined, debug });
  return runDaemon({
    readConfig: async () => {
      const { config, problems } = await readConfig(shared);
      for (const problem of problems) log('error', formatProblem(problem));
      return config;
    },
    configProblems: async () => (await readConfig(shared)).problems,
    configFile: shared.configFile,
    policyFolder: shared.policyFolder,
    runDirectory: shared.runtimeDirectory,
    stateDirectory: shared.stateDirectory,
    once,
    log,
  });
}
