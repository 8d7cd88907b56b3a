/** What the running daemon says of itself on D-Bus. */
import { existsSync } from 'node:fs';
import { BUS_NAME, INTERFACE, OBJECT_PATH } from './dbus/interface.ts';
import { asList, asObject, asText, at, parseJson } from './json-shape.ts';
import type { Run } from './run.ts';
import { parseStatus, type StatusFile } from './status-file.ts';

const PATIENCE_S = 1;
const SOCKET = '/run/dbus/system_bus_socket';

/**
 * By busctl: 10 ms, where loading a library takes 90.
 * @returns undefined where there is no bus, no daemon on it, no right to ask, or no answer within a second.
 */
export async function askDaemon(run: Run): Promise<StatusFile | undefined> {
  if (process.env['DBUS_SYSTEM_BUS_ADDRESS'] === undefined && !existsSync(SOCKET)) return undefined;
  const options = ['--system', '--auto-start=no', `--timeout=${PATIENCE_S}`, '--json=short'];
  try {
    const { stdout, exitCode } = await run('busctl', [...options, 'call', BUS_NAME, OBJECT_PATH, INTERFACE, 'Status'], {
      timeout: 2 * PATIENCE_S * 1000,
    });
    if (exitCode !== 0) return undefined;
    const [json] = asList(at(asObject(parseJson(stdout)), 'data', ''));
    return json === undefined ? undefined : parseStatus(parseJson(asText(json)));
  } catch {
    // Whatever is wrong with the bus, the daemon's file tells as much.
    return undefined;
  }
}
