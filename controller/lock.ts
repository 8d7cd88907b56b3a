/** One daemon per network namespace: an abstract socket, which the kernel scopes and frees with its owner. */
import { connect, createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode } from '../watchers/error-code.ts';

/** The leading NUL makes it abstract: it has no file that a crash could leave behind. */
const NAME = '\0routewall/daemon';

export interface Lock {
  release(): void;
}

/** A daemon that was killed in the middle of a fork leaves the socket to its child until that has become another program. */
const TRIES = 10;
const PAUSE_MS = 200;

/** @throws Error that says who holds it. */
export async function takeLock(): Promise<Lock> {
  for (let tries = 1; ; tries += 1) {
    const server = createServer((client) => client.end(`process ${process.pid}`));
    try {
      await listen(server);
      // Holding it must not keep the process alive.
      server.unref();
      return { release: () => void server.close() };
    } catch (cause) {
      if (errorCode(cause) !== 'EADDRINUSE') throw new Error("the lock can't be taken", { cause });
      const holder = await askHolder();
      // Whose name is taken is all that the kernel's own words (EADDRINUSE) would add.
      if (holder !== '') throw new Error(`another routewall daemon serves this network namespace, as ${holder}`);
      if (tries === TRIES)
        throw new Error(
          "a process that does not answer holds the name of this network namespace's daemon (@routewall/daemon)",
        );
      await sleep(PAUSE_MS);
    }
  }
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(NAME, resolve);
  });
}

const ANSWER = /^process \d{1,10}$/;

/** Empty where it does not answer so: whoever took the name may say anything, without an end. */
function askHolder(): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(NAME);
    let answer = '';
    socket.setTimeout(1000, () => socket.destroy());
    socket.on('data', (data) => {
      answer += data.toString('latin1');
      if (answer.length > 'process 4194304'.length) socket.destroy();
    });
    socket.on('error', () => resolve(''));
    socket.on('close', () => resolve(ANSWER.test(answer) ? answer : ''));
  });
}
