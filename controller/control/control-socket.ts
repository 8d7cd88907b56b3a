/**
 * Where root's orders come in: a unix socket in the run directory, one JSON line in and one out. D-Bus offers the same
 * orders to other programs; the command line takes this way, since it is there on a host without a bus, belongs to the
 * daemon of this run directory and no other, and waits as long as a pass takes.
 */
import { isUtf8 } from 'node:buffer';
import { chmod, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { parseJson } from '../json-shape.ts';
import { type Log, messageOf } from '../log.ts';
import { clearSocket } from '../unix-socket.ts';
import type { Controls } from './controls.ts';
import { answerRequest, parseRequest } from './requests.ts';
import { socketPath } from './socket-path.ts';

/** A thousand containers may be starting at once. */
const LIMITS = { connections: 1024, bytes: 32_768, idleMs: 10_000 };

export interface ControlSocket {
  stop(): Promise<void>;
}

/** A daemon that can't listen serves on without it. */
export async function openControlSocket(runDirectory: string, controls: Controls, log: Log): Promise<ControlSocket> {
  const path = socketPath(runDirectory);
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // Whoever goes before the answer comes has no use for it.
    socket.on('error', () => undefined);
    serve(socket, controls);
  });
  server.maxConnections = LIMITS.connections;
  try {
    await clearSocket(path);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    // Until here the umask kept others from connecting.
    await chmod(path, 0o600);
  } catch (cause) {
    log('warning', `${path}: ${messageOf(cause)}; routewall apply and the like can't reach this daemon`);
  }
  return {
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await rm(path, { force: true });
    },
  };
}

function serve(socket: Socket, controls: Controls): void {
  let data: Buffer = Buffer.alloc(0);
  socket.setTimeout(LIMITS.idleMs, () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    data = Buffer.concat([data, chunk]);
    if (data.length > LIMITS.bytes) return void socket.destroy();
    const end = data.indexOf('\n');
    if (end < 0) return;
    socket.removeAllListeners('data');
    socket.setTimeout(0);
    void answer(data.subarray(0, end), controls).then((line) => socket.end(`${line}\n`));
  });
}

async function answer(line: Buffer, controls: Controls): Promise<string> {
  try {
    // A name that can't be read as it is must not become another's.
    if (!isUtf8(line)) throw new Error('what was asked is no UTF-8');
    const answered = await answerRequest(controls, parseRequest(parseJson(line.toString('utf8'))));
    return JSON.stringify({ answer: answered ?? null });
  } catch (cause) {
    const name = cause instanceof Error ? cause.name : '';
    const [refused, unknown] = [name === 'OrderRefused', name === 'UnknownContainer'];
    return JSON.stringify({ error: messageOf(cause), refused, unknown });
  }
}
