/** What the running daemon answers on D-Bus. */
import { existsSync } from 'node:fs';
import type { Run } from '../commands/run.ts';
import { BUS_NAME, INTERFACE, METHODS, type MethodName, OBJECT_PATH, signatureOf } from '../dbus/interface.ts';
import { asList, asNumber, asText, fieldsOf, type Placed, parseJson } from '../json-shape.ts';
import { parseStatus } from './parse-status.ts';
import type { StatusFile } from './status-shape.ts';

const SOCKET = '/run/dbus/system_bus_socket';
const BUS = ['org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus'] as const;

/** As busctl takes them: a list is its length and its items. */
type Argument = string | number | readonly string[];

/**
 * By busctl: 10 ms, where loading a library takes 90.
 * @returns undefined where there is no bus, no daemon on it, no right to ask, or no answer in time; and where the daemon
 * can't answer: whoever asks finds out the reason alone.
 */
export async function callDaemon(
  run: Run,
  method: MethodName,
  args: readonly Argument[] = [],
  patienceS = 1,
): Promise<Placed | undefined> {
  const signature = signatureOf(METHODS[method].in);
  const words = args.flatMap((arg) => (typeof arg === 'object' ? [String(arg.length), ...arg] : [String(arg)]));
  const call = [BUS_NAME, OBJECT_PATH, INTERFACE, method, ...(signature === '' ? [] : [signature, ...words])];
  const data = await busctl(run, call, patienceS);
  return data === undefined ? undefined : parseJson(asText(data));
}

/** The daemon's process, as the bus knows it. */
export async function daemonPid(run: Run): Promise<number | undefined> {
  const data = await busctl(run, [...BUS, 'GetConnectionUnixProcessID', 's', BUS_NAME], 1);
  return data === undefined ? undefined : asNumber(data);
}

export async function askStatus(run: Run): Promise<StatusFile | undefined> {
  const said = await callDaemon(run, 'Status');
  return said === undefined ? undefined : parseStatus(said);
}

/** The first value of the answer. */
async function busctl(run: Run, call: readonly string[], patienceS: number): Promise<Placed | undefined> {
  if (process.env['DBUS_SYSTEM_BUS_ADDRESS'] === undefined && !existsSync(SOCKET)) return undefined;
  const options = ['--system', '--auto-start=no', `--timeout=${patienceS}`, '--json=short'];
  try {
    // `--`: a word of the user's must not become an option.
    const { stdout, exitCode } = await run('busctl', [...options, 'call', '--', ...call], {
      timeout: 2 * patienceS * 1000,
    });
    return exitCode === 0 ? asList(fieldsOf(parseJson(stdout))('data'))[0] : undefined;
  } catch {
    // Whatever is wrong with the bus: nobody needs it.
    return undefined;
  }
}
