/** `routewall panic`: containers are sealed at once, or no longer; by the daemon, or by this process where none answers. */

import { readBackends } from '../apply/backend-memory.ts';
import { isBridged } from '../bridged/bridged-reader.ts';
import { askControl, NoDaemon, OrderFailed } from '../control/ask-control.ts';
import { asBoolean, fieldsOf } from '../json-shape.ts';
import { takeLock } from '../lock.ts';
import { messageOf } from '../log.ts';
import { describePanic } from '../panic/describe-panic.ts';
import { type PanicOrder, PanicRefused, type PanicState, parsePanic, viewPanic } from '../panic/panic-state.ts';
import { CliError, EXIT } from './exit.ts';
import type { Invocation } from './options.ts';
import { orderedBy } from './order.ts';
import { panicAlone } from './panic-alone.ts';
import { readHost } from './read-host.ts';

/** Who seals doesn't wait for a daemon that hangs. */
const PATIENCE_MS = 5_000;

const PAGE = '/usr/share/doc/routewall/bridged.md';

interface Turned {
  readonly state: PanicState;
  readonly changed: boolean;
}

export async function runPanic(invocation: Invocation, { on }: { readonly on: boolean }): Promise<number> {
  const { io, shared, colours } = invocation;
  if (!io.isRoot) throw new CliError(EXIT.refused, 'panic is for root alone');
  const order: PanicOrder = { on, containers: shared.names, by: orderedBy(io.env) };
  const answered = await askDaemon(invocation, order);
  const { state, changed } = answered ?? (await withoutDaemon(invocation, order));
  if (shared.json) io.out.write(`${JSON.stringify({ ...viewPanic(state), changed }, null, 2)}\n`);
  else {
    const lines = describePanic(state);
    if (!changed) io.out.write('nothing changes\n');
    io.out.write(lines.length === 0 ? colours.green('no container is sealed\n') : `${colours.red(lines.join('\n'))}\n`);
  }
  if (!on) return EXIT.fine;
  const backends = await readBackends(shared.stateDirectory);
  return backends.every((name) => name === 'nftables') ? EXIT.fine : await tellUnsealed(invocation);
}

/** With iptables a panic seals interfaces where packets are routed, and a bridge passes frames on before that. */
async function tellUnsealed(invocation: Invocation): Promise<number> {
  const { io, shared } = invocation;
  try {
    const { inputs } = await readHost(invocation);
    const isMeant = (name: string): boolean => shared.names.length === 0 || shared.names.includes(name);
    const names = inputs.containers.filter((one) => isMeant(one.name) && isBridged(one)).map(({ name }) => name);
    if (names.length === 0) return EXIT.fine;
    io.err.write(`not sealed, since iptables doesn't reach bridges: ${names.join(', ')}; see ${PAGE}\n`);
    return EXIT.no;
  } catch (cause) {
    io.err.write(`whether containers on bridges are left unsealed isn't known: ${messageOf(cause)}\n`);
    return EXIT.no;
  }
}

/** `undefined` where it can't do it. */
async function askDaemon({ io, shared }: Invocation, order: PanicOrder): Promise<Turned | undefined> {
  try {
    const answer = await askControl(shared.runtimeDirectory, { order: 'panic', ...order }, PATIENCE_MS);
    return { state: parsePanic(answer), changed: asBoolean(fieldsOf(answer)('changed')) };
  } catch (cause) {
    if (cause instanceof OrderFailed && cause.unknown) throw new CliError(EXIT.usage, cause.message, { cause });
    if (cause instanceof OrderFailed && cause.refused) throw new CliError(EXIT.no, cause.message, { cause });
    if (!(cause instanceof NoDaemon)) {
      // What the daemon still knows of would come back with it.
      if (!order.on) throw new CliError(EXIT.refused, `the daemon: ${messageOf(cause)}`, { cause });
      io.err.write(`the daemon: ${messageOf(cause)}; trying without it\n`);
    }
    return undefined;
  }
}

async function withoutDaemon(invocation: Invocation, order: PanicOrder): Promise<Turned> {
  const warn = (message: string): unknown => invocation.io.err.write(`${message}\n`);
  const lock = await takeLock(invocation.shared.runtimeDirectory, { warn }).catch((cause: unknown) => {
    // One that only begins, or hangs: it takes up what the file says.
    if (order.on) return undefined;
    throw new CliError(EXIT.refused, `still sealed: ${messageOf(cause)}`, { cause });
  });
  try {
    const turned = await panicAlone(invocation, order);
    invocation.io.err.write('no daemon answers: done in the kernel; the daemon takes it over when it starts\n');
    return turned;
  } catch (cause) {
    if (cause instanceof PanicRefused) throw new CliError(EXIT.no, cause.message, { cause });
    throw cause;
  } finally {
    lock?.release();
  }
}
