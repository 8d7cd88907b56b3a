/** Other programs of a host, as a test plays them on a private bus. */
import { type BusConnection, connectBus } from '../../watchers/system-bus.ts';
import type { TestBus } from './system-bus.ts';

const opened: BusConnection[] = [];

/** All of them. */
export function leaveBus(): void {
  for (const connection of opened.splice(0)) connection.close();
}

export interface Program {
  readonly asked: readonly string[];
  signal(path: string, iface: string, member: string, signature?: string, body?: readonly unknown[]): void;
  quit(): void;
}

/** Another program on the bus, by that name or by none; until `leaveBus()`. */
export async function joinBus({ address }: TestBus, name?: string): Promise<Program> {
  const connection = await connectBus({ address, onEnd: () => undefined, onComplaint: () => undefined });
  opened.push(connection);
  const asked: string[] = [];
  connection.answer(async ({ interface: iface, member }) => {
    asked.push(`${iface}.${member}`);
    return { signature: '', body: [] };
  });
  const bus = { destination: 'org.freedesktop.DBus', path: '/org/freedesktop/DBus', interface: 'org.freedesktop.DBus' };
  if (name !== undefined) await connection.call({ ...bus, member: 'RequestName', signature: 'su', body: [name, 4] });
  return {
    asked,
    signal: (path, iface, member, signature = '', body = []) =>
      connection.emit({ path, interface: iface, member, signature, body }),
    quit: connection.close,
  };
}
