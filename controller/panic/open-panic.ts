/** The daemon's panic: kept on the disk and for the boot, in force by the backend that serves. */
import type { DesiredState } from '../../render/desired.ts';
import type { TrackedFlows } from '../connections/tracked-flows.ts';
import type { Log } from '../log.ts';
import type { BootFormat } from '../state/boot-format.ts';
import type { BootRuleset } from '../state/boot-ruleset.ts';
import { realDisk } from '../state/durable-disk.ts';
import { createSealedFlowEnder } from './end-flows.ts';
import { Panic } from './panic.ts';
import type { SealTable } from './panic-table.ts';

export interface DaemonPanicOptions {
  readonly stateDirectory: string;
  readonly log: Log;
  readonly flows: TrackedFlows;
  readonly bootRuleset: BootRuleset;
  /** Those of the backend that serves now. */
  readonly sealTable: () => SealTable;
  readonly bootFormat: () => BootFormat;
  readonly lastEnforced: () => DesiredState | undefined;
}

export async function openPanic(options: DaemonPanicOptions): Promise<Panic> {
  const { stateDirectory, log, flows, bootRuleset, sealTable, bootFormat, lastEnforced } = options;
  const endSealed = createSealedFlowEnder(flows, log, { desired: lastEnforced, present: () => panic.state });
  const panic: Panic = new Panic({
    ...{ stateDirectory, disk: realDisk, log },
    table: { hold: (seal) => sealTable().hold(seal), verify: (seal, signal) => sealTable().verify(seal, signal) },
    keepForBoot: (commands) => bootRuleset.keepPanic(commands),
    renderForBoot: (seal) => bootFormat().seal(seal),
    onSealed: endSealed,
  });
  await panic.open();
  return panic;
}
