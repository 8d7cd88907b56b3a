/** Sends an order to the daemon of a run directory, and waits for what it came to. */
import { connect } from 'node:net';
import { asBoolean, asText, fieldsOf, type Placed, parseJson } from '../json-shape.ts';
import type { Request } from './requests.ts';
import { socketPath } from './socket-path.ts';

/** Nobody listens there. */
export class NoDaemon extends Error {
  override readonly name = 'NoDaemon';
}

/** The daemon's own word: the order makes no sense now (`refused`), is about nobody (`unknown`), or could not be carried out. */
export class OrderFailed extends Error {
  override readonly name = 'OrderFailed';
  readonly refused: boolean;
  readonly unknown: boolean;

  constructor(message: string, { refused, unknown }: { readonly refused: boolean; readonly unknown: boolean }) {
    super(message);
    this.refused = refused;
    this.unknown = unknown;
  }
}

/** @throws NoDaemon, OrderFailed, Error where there is no right to ask or no answer within `timeoutMs` */
export async function askControl(runDirectory: string, request: Request, timeoutMs = 120_000): Promise<Placed> {
  const field = fieldsOf(parseJson(await exchange(socketPath(runDirectory), JSON.stringify(request), timeoutMs)));
  const error = field('error');
  if (error.value !== undefined) {
    const refused = asBoolean(field('refused'));
    throw new OrderFailed(asText(error), { refused, unknown: field('unknown').value === true });
  }
  return field('answer');
}

function exchange(path: string, line: string, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let text = '';
    socket.setEncoding('utf8');
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
    socket.on('connect', () => socket.write(`${line}\n`));
    socket.on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('end', () => (text === '' ? reject(new Error('the daemon ended before it answered')) : resolve(text)));
    socket.on('error', (cause: NodeJS.ErrnoException) => {
      const isAbsent = cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED';
      reject(isAbsent ? new NoDaemon(`nobody listens on ${path}`, { cause }) : cause);
    });
  });
}
