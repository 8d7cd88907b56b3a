/**
 * Makes a D-Bus socket safe to hand to dbus-next, which reads whatever a length field says, and throws out of a stream's
 * listener, which would end the process, for what the bus lets through and it can't decode.
 */
import type { Socket } from 'node:net';

/** As the specification has it: 16 bytes that hold the lengths of the fields and of the body. */
const HEADER = 16;
const LITTLE_ENDIAN = 0x6c;

export interface BoundedStreamOptions {
  /** Longer messages are left out, with what they would cost to decode; nobody answers them. */
  readonly maxMessageBytes: number;
  /** Told for each message that was left out. */
  readonly onLeftOut: (why: string) => void;
}

/** Takes effect at once; to be called before anything was read. */
export function boundStream(stream: Socket, options: BoundedStreamOptions): void {
  leaveOutLongMessages(stream, options);
  const emit = stream.emit.bind(stream);
  stream.emit = (event: string | symbol, ...args: unknown[]): boolean => {
    if (event !== 'readable') return emit(event, ...args);
    for (;;) {
      try {
        return emit(event, ...args);
      } catch (cause) {
        // The message is taken off the stream already: what follows it is read by another round.
        options.onLeftOut(`can't be decoded: ${cause instanceof Error ? cause.message : String(cause)}`);
      }
    }
  };
}

function leaveOutLongMessages(stream: Socket, { maxMessageBytes, onLeftOut }: BoundedStreamOptions): void {
  const read = stream.read.bind(stream);
  /** Of the message whose header was read; 0 between messages. */
  let rest = 0;
  let toSkip = 0;

  function skip(): boolean {
    while (toSkip > 0) {
      const chunk: unknown = read(Math.min(toSkip, Math.max(stream.readableLength, 1)));
      if (!Buffer.isBuffer(chunk)) return false;
      toSkip -= chunk.length;
    }
    return true;
  }

  stream.read = (size?: number): unknown => {
    if (rest > 0) {
      const message: unknown = read(rest);
      if (message !== null) rest = 0;
      return message;
    }
    // The lines of the handshake are read byte by byte.
    if (size !== HEADER) return read(size);
    while (skip()) {
      const header: unknown = read(HEADER);
      if (!Buffer.isBuffer(header)) return header;
      const length = messageLength(header);
      if (length <= maxMessageBytes) {
        rest = length;
        return header;
      }
      toSkip = length;
      onLeftOut(`it has ${length} bytes`);
    }
    return null;
  };
}

/** Of what follows the first 16 bytes: the fields, padded to 8, and the body. */
function messageLength(header: Buffer): number {
  const read = (offset: number): number =>
    header[0] === LITTLE_ENDIAN ? header.readUInt32LE(offset) : header.readUInt32BE(offset);
  return Math.ceil(read(12) / 8) * 8 + read(4);
}
