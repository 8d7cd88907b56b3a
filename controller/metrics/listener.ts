/** Answers `GET /metrics` on a unix socket or a loopback address. */
import { chmod } from 'node:fs/promises';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { ListenAddress } from '../../policies/metrics-config.ts';
import { type Log, messageOf } from '../log.ts';
import { clearSocket } from '../unix-socket.ts';

export interface ListenerOptions {
  readonly address: ListenAddress;
  readonly contentType: string;
  readonly render: () => Promise<string>;
  readonly log: Log;
}

export interface Listener {
  stop(): Promise<void>;
}

/** A scraper takes one connection; more than a few are somebody's mistake. */
const LIMITS = { connections: 16, timeoutMs: 10_000 };

/** @throws Error when nobody can listen there. */
export async function openListener(options: ListenerOptions): Promise<Listener> {
  const { address } = options;
  // Not at the head of the file: a bundle would load it with every command.
  const { createServer } = await import('node:http');
  const server = createServer(
    { requestTimeout: LIMITS.timeoutMs, headersTimeout: LIMITS.timeoutMs, connectionsCheckingInterval: 30_000 },
    (request, response) => void answer(request, response, options),
  );
  server.maxConnections = LIMITS.connections;
  if (address.kind === 'unix') await clearSocket(address.path);
  await listening(server, address);
  server.on('error', (cause) => options.log('warning', `metrics: ${messageOf(cause)}`));
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  try {
    // The folder says who may connect: a textfile can be read by anyone as well.
    if (address.kind === 'unix') await chmod(address.path, 0o666);
  } catch (cause) {
    await stop();
    throw cause;
  }
  return { stop };
}

const listening = (server: Server, address: ListenAddress): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(
      address.kind === 'unix' ? { path: address.path } : { host: address.address, port: address.port },
      () => {
        server.off('error', reject);
        resolve();
      },
    );
  });

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { contentType, render, log }: ListenerOptions,
): Promise<void> {
  const say = (status: number, text: string, type = 'text/plain; charset=utf-8'): void => {
    response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) });
    response.end(request.method === 'HEAD' ? undefined : text);
  };
  request.resume();
  if (request.method !== 'GET' && request.method !== 'HEAD') return say(405, 'only GET\n');
  if (request.url?.replace(/\?.*$/, '') !== '/metrics') return say(404, 'only /metrics\n');
  try {
    say(200, await render(), contentType);
  } catch (cause) {
    log('warning', `metrics: ${messageOf(cause)}`);
    say(500, 'the metrics cannot be read\n');
  }
}
