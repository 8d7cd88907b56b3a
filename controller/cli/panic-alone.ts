/** A panic begun or ended without the daemon: the kernel, the file that the daemon reads, and what the next boot loads. */
import { defaultConfig } from '../../policies/config.ts';
import { streamLines } from '../commands/run.ts';
import { trackedFlows } from '../connections/tracked-flows.ts';
import { messageOf } from '../log.ts';
import { endSealedFlows } from '../panic/end-flows.ts';
import { type PanicScope, sealFor } from '../panic/panic-scope.ts';
import {
  isPanic,
  type PanicOrder,
  type PanicState,
  readPanic,
  turn,
  viewPanic,
  writePanic,
} from '../panic/panic-state.ts';
import { sealTableAlone } from '../panic/seal-alone.ts';
import { realDisk } from '../state/durable-disk.ts';
import type { Invocation } from './options.ts';
import { readConfig } from './read-config.ts';
import { type CliHost, readHost, requireKnown } from './read-host.ts';

/** @throws PanicRefused; CliError and Error where it is not, or not for good, in force. */
export async function panicAlone(
  invocation: Invocation,
  order: PanicOrder,
): Promise<{ readonly state: PanicState; readonly changed: boolean }> {
  const { io, shared } = invocation;
  const { stateDirectory } = shared;
  const run = await io.loadRun();
  const before = await readPanic(stateDirectory);
  const state = turn(before, order, new Date().toISOString());
  const { config = defaultConfig } = await readConfig(shared);
  const table = await sealTableAlone(run, { wanted: config.backend, stateDirectory });
  // By patterns at once: what has another name is found out afterwards.
  if (order.on && state.all !== null)
    await table.hold(sealFor(state, { config, containers: () => [], nics: () => [] }));
  const { scope, host } = isPanic(state) ? await readScope(invocation, order) : { scope: undefined, host: undefined };
  const seal = scope === undefined ? undefined : sealFor(state, scope);
  if (order.on) await table.hold(seal);
  await writePanic(realDisk, stateDirectory, state);
  await table.keepForBoot(seal);
  if (!order.on) await table.hold(seal);
  else if (host !== undefined) {
    const { desired } = host.assembler.assemble(host.inputs);
    await endSealedFlows(trackedFlows(run, streamLines), desired, () => state).catch((cause: unknown) => {
      io.err.write(`connections of sealed containers: ${messageOf(cause)}\n`);
    });
  }
  return { state, changed: JSON.stringify(viewPanic(state)) !== JSON.stringify(viewPanic(before)) };
}

/** A host that can't be read is sealed all the same, if it is sealed whole. */
async function readScope(
  invocation: Invocation,
  { containers: names }: PanicOrder,
): Promise<{ readonly scope: PanicScope; readonly host: CliHost | undefined }> {
  try {
    const host = await readHost(invocation);
    const { containers } = host.inputs;
    requireKnown(
      names,
      containers.map(({ name }) => name),
    );
    const { nics } = host.assembler.assemble(host.inputs).desired;
    return { scope: { config: host.config, containers: () => containers, nics: () => nics.values() }, host };
  } catch (cause) {
    if (names.length > 0) throw cause;
    const { config = defaultConfig } = await readConfig(invocation.shared);
    invocation.io.err.write(`only what ${config.guard.join(', ')} matches is sealed: ${messageOf(cause)}\n`);
    return { scope: { config, containers: () => [], nics: () => [] }, host: undefined };
  }
}
