/** `routewall daemon`: the service. */

import { startResident } from '../commands/run.ts';
import { runDaemon } from '../daemon.ts';
import { openLog } from '../log.ts';
import type { Invocation } from './options.ts';
import { readConfig } from './read-config.ts';

/** What still waits for whoever reads the log, which may be nobody: a journal that is stopped. */
const LAST_LINES_MS = 1_000;

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
    // By its whole path, since whoever is told of its mistakes is somewhere else.
    readConfig: () => readConfig({ ...shared, shown: { ...shared.shown, config: shared.configFile } }),
    configFile: shared.configFile,
    policyFolder: shared.policyFolder,
    runDirectory: shared.runtimeDirectory,
    stateDirectory: shared.stateDirectory,
    once,
    log,
  });
  return ended.finally(() => {
    close();
    setTimeout(() => process.exit(), LAST_LINES_MS).unref();
  });
}
