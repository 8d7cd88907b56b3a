/** `routewall daemon`: the service. */

import { formatProblem } from '../../policies/problem.ts';
import { startResident } from '../commands/run.ts';
import { runDaemon } from '../daemon.ts';
import { openLog } from '../log.ts';
import type { Invocation } from './options.ts';
import { readConfig } from './read-config.ts';

export interface DaemonFlags {
  readonly once: boolean;
  readonly debug: boolean;
}

export async function runDaemonCommand({ io, shared }: Invocation, { once, debug }: DaemonFlags): Promise<number> {
  const { log, close } = openLog({
    journal: io.env['JOURNAL_STREAM'] === undefined ? undefined : startResident,
    debug,
  });
  const ended = runDaemon({
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
  return ended.finally(close);
}
