/** The daemon on the system bus: takes its name, answers, tells, and comes back whenever the bus was away. */
import { type BusConnection, connectBus } from '../../watchers/system-bus.ts';
import { type Log, messageOf } from '../log.ts';
import { dispatch, type Methods, propertyNames, toVariants } from './dispatch.ts';
import {
  BUS_NAME,
  INTERFACE,
  OBJECT_PATH,
  type PropertyName,
  type PropertyValues,
  SIGNALS,
  type SignalName,
  signatureOf,
} from './interface.ts';

export interface ServiceOptions {
  readonly methods: Methods;
  readonly properties: () => PropertyValues;
  readonly log: Log;
  readonly address?: string;
  readonly backoff?: { readonly firstMs: number; readonly maxMs: number };
}

export interface BusService {
  /** Resolves once the name is ours, or it is known that it won't be soon; never throws. */
  start(): Promise<void>;
  emit(signal: SignalName, ...args: readonly (string | readonly string[])[]): void;
  /** Tells of properties that are no longer what was told last; many calls at once are one signal. */
  propertiesChanged(): void;
  stop(): void;
}

const DBUS = { destination: 'org.freedesktop.DBus', path: '/org/freedesktop/DBus', interface: 'org.freedesktop.DBus' };
const DO_NOT_QUEUE = 4;
const PRIMARY_OWNER = 1;
const ALREADY_OWNER = 4;
const CHANGED_MS = 200;

/** A host without a bus is served without it. */
export function createBusService(options: ServiceOptions): BusService {
  const { log } = options;
  const { firstMs, maxMs } = options.backoff ?? { firstMs: 250, maxMs: 10_000 };
  let running = false;
  let delay = firstMs;
  let retry: NodeJS.Timeout | undefined;
  let connection: BusConnection | undefined;
  let told: string | undefined;
  let shown: PropertyValues | undefined;
  let changing: NodeJS.Timeout | undefined;

  async function attempt(): Promise<void> {
    try {
      const fresh = await serveOn(options, lost);
      if (!running) return fresh.close();
      connection = fresh;
      shown = options.properties();
      log('info', `D-Bus: serving as ${BUS_NAME}`);
      delay = firstMs;
      told = undefined;
    } catch (cause) {
      lost(cause instanceof Error ? cause : new Error(String(cause)));
    }
  }

  function lost(cause: Error): void {
    connection = undefined;
    if (!running) return;
    const why = messageOf(cause);
    // A host without a bus must not hear of it every ten seconds.
    if (why !== told) log('warning', `D-Bus: ${why}; going on without it until it is there`);
    told = why;
    // A bus that goes while the name is being asked for is told twice.
    clearTimeout(retry);
    retry = setTimeout(() => void attempt(), delay);
    delay = Math.min(delay * 2, maxMs);
  }

  function tellChanges(): void {
    changing = undefined;
    const now = options.properties();
    const changed = propertyNames.filter((name) => shown?.[name] !== now[name]);
    if (connection === undefined || changed.length === 0) return;
    shown = now;
    emitChanged(connection, changed, now);
  }

  return {
    start: async () => {
      running = true;
      await attempt();
    },
    emit: (signal, ...body) => {
      connection?.emit({
        ...{ path: OBJECT_PATH, interface: INTERFACE, member: signal },
        ...{ signature: signatureOf(SIGNALS[signal]), body },
      });
    },
    propertiesChanged: () => {
      if (connection !== undefined) changing ??= setTimeout(tellChanges, CHANGED_MS);
    },
    stop: () => {
      running = false;
      clearTimeout(retry);
      clearTimeout(changing);
      connection?.close();
      connection = undefined;
    },
  };
}

async function serveOn({ methods, properties, log, address }: ServiceOptions, onEnd: (cause: Error) => void) {
  const connection = await connectBus({
    ...(address === undefined ? {} : { address }),
    onEnd,
    onComplaint: (message) => log('warning', message),
  });
  const userOf = async (sender: string): Promise<number> => {
    const call = { ...DBUS, member: 'GetConnectionUnixUser', signature: 's', body: [sender] };
    const [user] = await connection.call(call);
    return typeof user === 'number' ? user : -1;
  };
  // Before the name is ours: whoever waits for the name may call at once.
  connection.answer((call) => dispatch(call, { methods, properties, variant: connection.variant, userOf }));
  try {
    const request = { ...DBUS, member: 'RequestName', signature: 'su', body: [BUS_NAME, DO_NOT_QUEUE] };
    const [reply] = await connection.call(request);
    if (reply !== PRIMARY_OWNER && reply !== ALREADY_OWNER) throw new Error(`${BUS_NAME} is taken by another process`);
    return connection;
  } catch (cause) {
    connection.close();
    throw new Error(`the name ${BUS_NAME} can't be had`, { cause });
  }
}

function emitChanged(connection: BusConnection, changed: readonly PropertyName[], values: PropertyValues): void {
  connection.emit({
    path: OBJECT_PATH,
    interface: 'org.freedesktop.DBus.Properties',
    member: 'PropertiesChanged',
    signature: 'sa{sv}as',
    body: [INTERFACE, toVariants(changed, values, connection.variant), []],
  });
}
