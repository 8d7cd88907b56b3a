/** The daemon that answers for the very files, paths and network that the command line was asked about, if there is one. */
import { readlink } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import type { MethodName } from '../dbus/interface.ts';
import type { Placed } from '../json-shape.ts';
import { describeWaiting } from '../revisions/describe-waiting.ts';
import { callDaemon, daemonPid } from '../status/ask-daemon.ts';
import { readProcessStart } from '../status/process-start.ts';
import { readRevision, readServer } from '../status/status-file.ts';
import type { Server } from '../status/status-shape.ts';
import type { Invocation } from './options.ts';

/** A preview of 10,000 containers takes seconds. */
const PATIENCE_S = 20;

/**
 * Its answer, which takes neither root nor a reading of the whole host.
 * @returns undefined where there is no such daemon, or none that answers: the command then reads the host itself.
 */
export async function askServing<T>(
  invocation: Invocation,
  method: MethodName,
  args: readonly (string | number | readonly string[])[],
  parse: (answer: Placed) => T,
): Promise<T | undefined> {
  const server = await findServing(invocation);
  if (server === undefined) return undefined;
  const run = await invocation.io.loadRun();
  // The bus doesn't end at a network namespace, nor does a name on it say which process has it.
  const [answer, pid] = await Promise.all([callDaemon(run, method, args, PATIENCE_S), daemonPid(run)]);
  if (answer === undefined || pid !== server.pid) return undefined;
  try {
    return parse(answer);
  } catch {
    // A daemon of another release, in the moment of an upgrade.
    return undefined;
  }
}

/** In words, which saved files are not what it enforces. */
export async function describeNotInForce(invocation: Invocation): Promise<string | undefined> {
  if ((await findServing(invocation)) === undefined) return undefined;
  const { reason = null, waiting = [] } = (await readRevision(invocation.shared.runtimeDirectory)) ?? {};
  return reason === null || waiting.length === 0 ? undefined : describeWaiting(waiting, reason);
}

async function findServing({ shared }: Invocation): Promise<Server | undefined> {
  if (shared.stateFile !== undefined) return undefined;
  const server = await readServer(shared.runtimeDirectory).catch(() => undefined);
  if (server === undefined || (await readProcessStart(server.pid)) !== server.started) return undefined;
  const { config, policies, lxcPaths } = server.serves;
  // Paths are shown as the user wrote them; the daemon knows them as absolute ones.
  const isSame = shared.shown.config === config && shared.shown.policies === policies;
  if (!isSame || (shared.lxcPaths !== undefined && !isDeepStrictEqual(shared.lxcPaths, lxcPaths))) return undefined;
  const [own, its] = await Promise.all(['self', server.pid].map(networkOf));
  // Only root may see another's; a user without rights has the host's own network.
  return its === undefined || own === its ? server : undefined;
}

const networkOf = (process: string | number): Promise<string | undefined> =>
  readlink(`/proc/${process}/ns/net`).catch(() => undefined);
