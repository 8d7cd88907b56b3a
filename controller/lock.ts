/** One daemon per network namespace: an abstract socket, which the kernel scopes and frees with its owner. */
import { connect, createServer, type Server } from 'node:net';

/** The leading NUL makes it abstract: it has no file that a crash could leave behind. */
const NAME = '\0routewall/daemon';

export interface Lock {
  release(): void;
}

/** @throws Error that says who holds it. */
export async function takeLock(): Promise<Lock> {
  const server = createServer((client) => client.end(`process ${process.pid}`));
  try {
    await listen(server);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE') {
      throw new Error(`another routewall daemon serves this network namespace: ${await askHolder()}`, { cause });
    }
    throw new Error("the lock can't be taken", { cause });
  }
  // Holding it must not keep the process alive.
  server.unref();
  return { release: () => void server.close() };
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(NAME, resolve);
  });
}

function askHolder(): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(NAME);
    let answer = '';
    socket.setTimeout(1000, () => socket.destroy());
    socket.on('data', (data) => {
      answer += data.toString();
    });
    socket.on('error', () => resolve('it does not answer'));
    socket.on('close', () => resolve(answer === '' ? 'it does not answer' : answer));
  });
}
