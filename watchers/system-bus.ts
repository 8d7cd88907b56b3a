/**
 * A connection to D-Bus: the one place that knows dbus-next. Only its wire format is used: its own services send stack
 * traces, give methods no sender, and let callers write what is declared read-only.
 */
import { Socket } from 'node:net';
import type { Message, MessageBus } from 'dbus-next';
import { boundStream } from './bounded-stream.ts';

export interface BusMessage {
  /** The unique name, such as `:1.42`, which the bus vouches for. */
  readonly sender: string;
  readonly path: string;
  /** Empty where the caller left it out. */
  readonly interface: string;
  readonly member: string;
  readonly signature: string;
  readonly body: readonly unknown[];
}

export interface BusCall {
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly signature?: string;
  readonly body?: readonly unknown[];
}

export interface BusSignal {
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly signature: string;
  readonly body: readonly unknown[];
}

export interface BusReply {
  readonly signature: string;
  readonly body: readonly unknown[];
}

/** An answer that is an error: `name` is D-Bus's, such as `org.freedesktop.DBus.Error.AccessDenied`. */
export class BusError extends Error {
  override readonly name = 'BusError';
  readonly errorName: string;

  constructor(errorName: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.errorName = errorName;
  }
}

export interface BusConnection {
  /** The unique name. */
  readonly name: string;
  /** @throws BusError for an error reply, Error where there is none in time or the bus is gone. */
  call(call: BusCall, timeoutMs?: number): Promise<readonly unknown[]>;
  onSignal(listener: (signal: BusMessage) => void): void;
  /** How method calls are answered; what it throws that is no BusError is told to `onComplaint` alone. */
  answer(handler: (call: BusMessage) => Promise<BusReply>): void;
  /** A value of type `v` in a reply or signal. */
  variant(signature: string, value: unknown): unknown;
  /** To all who listen. Nothing happens where the bus is gone. */
  emit(signal: BusSignal): void;
  close(): void;
}

export interface BusOptions {
  /** DBUS_SYSTEM_BUS_ADDRESS or the well-known socket, unless told. */
  readonly address?: string;
  /** Once, when the connection is lost, however that came. Not after `close`. */
  readonly onEnd: (cause: Error) => void;
  /** What went wrong without harm. */
  readonly onComplaint: (message: string) => void;
}

/** Calls to us are a few words, and so are the signals that we listen to. */
const MAX_MESSAGE_BYTES = 64 * 1024;
const CONNECT_MS = 5000;
const CALL_MS = 10_000;
/** A caller that doesn't wait for answers must not fill the memory. */
const MAX_CALLS_AT_ONCE = 64;
const NO_REPLY_EXPECTED = 1;

export const busAddress = (): string =>
  process.env['DBUS_SYSTEM_BUS_ADDRESS'] || 'unix:path=/run/dbus/system_bus_socket';

/** @throws Error where there is no bus, or it doesn't answer. */
export async function connectBus(options: BusOptions): Promise<BusConnection> {
  // 90 ms, which only they pay who need it. As `default`, since a bundle in parts gives a CommonJS library no other name.
  const { default: dbus } = await import('dbus-next');
  const bus = dbus.sessionBus({ busAddress: options.address ?? busAddress(), authMethods: ['EXTERNAL'] });
  const socket = socketOf(bus);
  boundStream(socket, {
    maxMessageBytes: MAX_MESSAGE_BYTES,
    onLeftOut: (why) => options.onComplaint(`D-Bus: a message is left out: ${why}`),
  });
  const gone = new Deferred<never>();
  let open = false;
  let lastError: Error | undefined;
  // The bus's clean exit raises nothing but the socket's end.
  socket.once('close', () => {
    const what = open ? 'the connection ended' : 'no connection';
    const cause = new Error(what, lastError === undefined ? {} : { cause: lastError });
    gone.reject(cause);
    if (open) options.onEnd(cause);
    open = false;
  });
  bus.on('error', (cause: unknown) => {
    lastError = cause instanceof Error ? cause : new Error(String(cause));
    // Without a socket's error behind it, the stream of messages can't be followed any more.
    socket.destroy();
  });
  const close = (): void => {
    open = false;
    socket.destroy();
  };
  try {
    const connected = new Promise<void>((resolve) => bus.on('connect', resolve));
    await Promise.race([connected, gone.promise, timeout(CONNECT_MS, 'D-Bus does not answer')]);
  } catch (cause) {
    close();
    throw cause;
  }
  open = true;
  return { ...openConversation(bus, dbus, gone.promise, options), close };
}

type Library = typeof import('dbus-next');

function openConversation(
  bus: MessageBus,
  dbus: Library,
  gone: Promise<never>,
  { onComplaint }: BusOptions,
): Omit<BusConnection, 'close'> {
  const listeners: ((signal: BusMessage) => void)[] = [];
  let handler: ((call: BusMessage) => Promise<BusReply>) | undefined;
  let callsNow = 0;
  const send = (message: Message): void => {
    try {
      bus.send(message);
    } catch (cause) {
      onComplaint(`D-Bus: ${message.member || 'a reply'} can't be sent: ${textOf(cause)}`);
    }
  };

  async function reply(message: Message): Promise<void> {
    const answer = await answerOf(message);
    if (((message.flags ?? 0) & NO_REPLY_EXPECTED) !== 0) return;
    const sent = dbus.Message.newMethodReturn(message, answer.signature, [...answer.body]);
    if (answer.errorName !== undefined) {
      sent.type = dbus.MessageType.ERROR;
      sent.errorName = answer.errorName;
    }
    send(sent);
  }

  async function answerOf(message: Message): Promise<BusReply & { errorName?: string }> {
    const refuse = (errorName: string, text: string) => ({ errorName, signature: 's', body: [withoutNul(text)] });
    if (handler === undefined) return refuse('org.freedesktop.DBus.Error.UnknownMethod', 'nothing is served here');
    if (callsNow >= MAX_CALLS_AT_ONCE) return refuse('org.freedesktop.DBus.Error.LimitsExceeded', 'too many calls');
    callsNow += 1;
    try {
      return await handler(toBusMessage(message));
    } catch (cause) {
      if (cause instanceof BusError) return refuse(cause.errorName, cause.message);
      // Its text may tell more than the caller shall know.
      onComplaint(`D-Bus: ${message.member}: ${textOf(cause)}`);
      return refuse('org.freedesktop.DBus.Error.Failed', 'it failed; the log says why');
    } finally {
      callsNow -= 1;
    }
  }

  // True: handled, so that dbus-next's own services never see a call.
  bus.addMethodHandler((message: Message) => {
    void reply(message).catch((cause: unknown) => onComplaint(`D-Bus: ${textOf(cause)}`));
    return true;
  });
  bus.on('message', (message: Message) => {
    if (message.type !== dbus.MessageType.SIGNAL) return;
    try {
      for (const listener of listeners) listener(toBusMessage(message));
    } catch (cause) {
      // dbus-next would send its stack to whoever sent the signal.
      onComplaint(`D-Bus: ${message.member}: ${textOf(cause)}`);
    }
  });

  return {
    name: String(Reflect.get(bus, 'name')),
    call: async ({ signature = '', body = [], ...to }, timeoutMs = CALL_MS) => {
      const message = new dbus.Message({ ...to, signature, body: [...body] });
      const late = timeout(timeoutMs, `${to.destination} does not answer ${to.member}`);
      const answer = await Promise.race([bus.call(message), gone, late]).catch((cause: unknown) => {
        if (cause instanceof dbus.DBusError) throw new BusError(cause.type, cause.text, { cause });
        throw cause;
      });
      return answer?.body ?? [];
    },
    onSignal: (listener) => void listeners.push(listener),
    answer: (given) => {
      handler = given;
    },
    variant: (signature, value) => new dbus.Variant(signature, value),
    emit: ({ path, interface: iface, member, signature, body }) => {
      send(dbus.Message.newSignal(path, iface, member, signature, body.map(withoutNulIn)));
    },
  };
}

/** dbus-next keeps it to itself, and without it neither the bus's end nor a message's length can be known. */
function socketOf(bus: MessageBus): Socket {
  const connection: unknown = Reflect.get(bus, '_connection');
  const stream: unknown =
    typeof connection === 'object' && connection !== null ? Reflect.get(connection, 'stream') : null;
  if (!(stream instanceof Socket)) throw new Error('dbus-next: its connection has no socket');
  return stream;
}

const toBusMessage = (message: Message): BusMessage => ({
  sender: message.sender ?? '',
  path: message.path ?? '',
  interface: message.interface ?? '',
  member: message.member ?? '',
  signature: message.signature ?? '',
  body: message.body ?? [],
});

/** A text with a NUL would make the bus drop the connection. */
const withoutNul = (text: string): string => text.replaceAll('\0', '?');
const withoutNulIn = (value: unknown): unknown => (typeof value === 'string' ? withoutNul(value) : value);

const textOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

/** Rejects; lets the process end meanwhile. */
function timeout(ms: number, why: string): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`${why} within ${ms} ms`)), ms).unref();
  });
}

/** A promise that is settled from outside; a rejection that nobody waits for is no failure. */
class Deferred<T> {
  readonly promise: Promise<T>;
  reject: (cause: Error) => void = () => undefined;

  constructor() {
    this.promise = new Promise<T>((_, reject) => {
      this.reject = reject;
    });
    this.promise.catch(() => undefined);
  }
}
