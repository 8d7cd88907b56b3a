/**
 * Where root's orders come in: a unix socket in the run directory, one JSON line in and one out. D-Bus offers the same
 * orders to other programs; the command line takes this way, since it is there on a host without a bus, belongs to the
 * daemon of this run directory and no other, and waits as long as a pass takes.
 */
import { chmod, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { parseJson } from '../json-shape.ts';
import { type Log, messageOf } from '../log.ts';
import { clearSocket } from '../unix-socket.ts';
import type { Controls } from './controls.ts';
import { answerRequest, parseRequest } from './requests.ts';
import { socketPath } from './socket-path.ts';

const LIMITS = { connections: 16, bytes: 4096, idleMs: 10_000 };

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
  let text = '';
  socket.setEncoding('utf8');
  socket.setTimeout(LIMITS.idleMs, () => socket.destroy());
  socket.on('data', (chunk: string) => {
    text += chunk;
    if (text.length > LIMITS.bytes) return void socket.destroy();
    const end = text.indexOf('\n');
    if (end < 0) return;
    socket.removeAllListeners('data');
    socket.setTimeout(0);
    void answer(text.slice(0, end), controls).then((line) => socket.end(`${line}\n`));
  });
}

async function answer(line: string, controls: Controls): Promise<string> {
  try {
    return JSON.stringify({ answer: await answerRequest(controls, parseRequest(parseJson(line))) });
  } catch (cause) {
    const isRefusal = cause instanceof Error && cause.name === 'OrderRefused';
    return JSON.stringify({ error: messageOf(cause), refused: isRefusal });
  }
}
