/** What the host's other services tell on D-Bus: firewalld, systemd about containers' units, logind. */
import type { HostEventBus, Watcher } from './events.ts';
import { type BusConnection, type BusMessage, connectBus } from './system-bus.ts';

const FIREWALLD = 'org.fedoraproject.FirewallD1';
const SYSTEMD = 'org.freedesktop.systemd1';
const LOGIND = 'org.freedesktop.login1';
const DBUS = { destination: 'org.freedesktop.DBus', path: '/org/freedesktop/DBus', interface: 'org.freedesktop.DBus' };

const UNITS = '/org/freedesktop/systemd1/unit';

/** Rules without a sender would let any local user wake us. dbus-next never removes one, so they are set once. */
const MATCHES = [
  `type='signal',sender='${FIREWALLD}',interface='${FIREWALLD}',member='Reloaded'`,
  `type='signal',sender='${SYSTEMD}',interface='${SYSTEMD}.Manager',member='JobRemoved'`,
  `type='signal',sender='${SYSTEMD}',interface='${SYSTEMD}.Manager',member='UnitRemoved'`,
  `type='signal',sender='${SYSTEMD}',path_namespace='${UNITS}',interface='org.freedesktop.DBus.Properties',arg0='${SYSTEMD}.Unit'`,
  `type='signal',sender='${LOGIND}',interface='${LOGIND}.Manager',member='PrepareForShutdown'`,
  ...[FIREWALLD, SYSTEMD, LOGIND].map(
    (name) => `type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='${name}'`,
  ),
];

export interface HostBusOptions {
  readonly address?: string;
  /** What went wrong without harm. */
  readonly onComplaint?: (message: string) => void;
  readonly backoff?: { readonly firstMs: number; readonly maxMs: number };
}

/** A host without a bus is told once, by `watcherFailed`, and looked after now and then. */
export function watchHostBus(bus: HostEventBus, options: HostBusOptions = {}): Watcher {
  const { firstMs, maxMs } = options.backoff ?? { firstMs: 500, maxMs: 30_000 };
  let running = false;
  let delay = firstMs;
  let timer: NodeJS.Timeout | undefined;
  let connection: BusConnection | undefined;
  let told = false;

  function fail(cause: Error): void {
    if (!running) return;
    connection?.close();
    connection = undefined;
    if (!told) bus.emit('watcherFailed', { source: 'host-bus', cause, retryInMs: delay });
    told = true;
    // A bus that goes while it is being asked is told twice.
    clearTimeout(timer);
    timer = setTimeout(() => void attempt(), delay);
    timer.unref();
    delay = Math.min(delay * 2, maxMs);
  }

  async function attempt(): Promise<void> {
    try {
      const { address, onComplaint = () => undefined } = options;
      const fresh = await connectBus({ ...(address === undefined ? {} : { address }), onEnd: fail, onComplaint });
      if (!running) return fresh.close();
      connection = fresh;
      await subscribe(bus, fresh);
      if (!running || connection !== fresh) return;
      delay = firstMs;
      told = false;
      bus.emit('synced', { source: 'host-bus' });
    } catch (cause) {
      fail(cause instanceof Error ? cause : new Error(String(cause)));
    }
  }

  return {
    // Nothing waits for a bus.
    start: async () => {
      if (running) return;
      running = true;
      void attempt();
    },
    stop: async () => {
      running = false;
      clearTimeout(timer);
      connection?.close();
      connection = undefined;
    },
  };
}

async function subscribe(bus: HostEventBus, connection: BusConnection): Promise<void> {
  // A signal that is sent to us alone passes by all match rules: only the name's owner is believed.
  const owners = new Map<string, string>();
  connection.onSignal((signal) => {
    if (signal.sender === DBUS.destination) noteOwner(owners, signal);
    else tell(bus, owners, signal);
  });
  for (const match of MATCHES) {
    await connection.call({ ...DBUS, member: 'AddMatch', signature: 's', body: [match] });
  }
  for (const name of [FIREWALLD, SYSTEMD, LOGIND]) {
    const owner = await ownerOf(connection, name);
    if (owner !== undefined) owners.set(name, owner);
  }
  if (owners.has(SYSTEMD)) {
    // systemd sends signals only while someone has asked for them.
    await connection.call({
      ...{ destination: SYSTEMD, path: '/org/freedesktop/systemd1', interface: `${SYSTEMD}.Manager` },
      member: 'Subscribe',
    });
  }
}

async function ownerOf(connection: BusConnection, name: string): Promise<string | undefined> {
  const call = { ...DBUS, signature: 's', body: [name] };
  // GetNameOwner of a name that nobody has is an error.
  const [has] = await connection.call({ ...call, member: 'NameHasOwner' });
  if (has !== true) return undefined;
  const [owner] = await connection.call({ ...call, member: 'GetNameOwner' }).catch(() => []);
  return typeof owner === 'string' ? owner : undefined;
}

function noteOwner(owners: Map<string, string>, { member, body }: BusMessage): void {
  const [name, , owner] = body;
  if (member !== 'NameOwnerChanged' || typeof name !== 'string' || typeof owner !== 'string') return;
  if (owner === '') owners.delete(name);
  else owners.set(name, owner);
}

function tell(bus: HostEventBus, owners: ReadonlyMap<string, string>, signal: BusMessage): void {
  const { sender, member, path, body } = signal;
  switch (sender) {
    case owners.get(FIREWALLD):
      if (signal.interface === FIREWALLD && member === 'Reloaded') bus.emit('firewallReloaded', { by: 'firewalld' });
      return;
    case owners.get(SYSTEMD): {
      const unit = unitOf(member, path, body);
      if (unit !== undefined && /^lxc@.+\.service$/.test(unit)) bus.emit('containerUnitChanged', { unit });
      return;
    }
    case owners.get(LOGIND):
      if (member === 'PrepareForShutdown' && typeof body[0] === 'boolean') {
        bus.emit('shutdownPrepared', { begins: body[0] });
      }
      return;
  }
}

/** `JobRemoved(id, job, unit, result)`, `UnitRemoved(unit, path)`, and the properties of the unit at a path. */
function unitOf(member: string, path: string, body: readonly unknown[]): string | undefined {
  const unit = member === 'JobRemoved' ? body[2] : member === 'UnitRemoved' ? body[0] : unitAt(path);
  return typeof unit === 'string' ? unit : undefined;
}

/** systemd writes what isn't a letter or digit as `_40`. */
export function unitAt(path: string): string | undefined {
  if (!path.startsWith(`${UNITS}/`)) return undefined;
  const bytes = path
    .slice(UNITS.length + 1)
    .replace(/_([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
