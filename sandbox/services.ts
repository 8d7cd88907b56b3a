/** Real TCP and UDP services and real attempts to reach them, from one agent process in each namespace. */
import { fileURLToPath } from 'node:url';
import type { Child } from './child.ts';
import { fieldOf, listOf, numberOf, textOf } from './json.ts';
import type { Place } from './place.ts';

/** `refused`: a reset or an ICMP error; `dropped`: silence; `unroutable`: the sender has no route or address for it. */
export type Outcome = 'allowed' | 'refused' | 'dropped' | 'unroutable';

export interface Target {
  readonly protocol: 'tcp' | 'udp' | 'icmp';
  /** An address of either family. */
  readonly to: string;
  /** Not for icmp. */
  readonly port?: number;
  /** An address of the sender's to send from. */
  readonly source?: string;
  /**
   * Milliseconds until silence means `dropped`; 400 by default. A TCP reset is seen at once, but an ICMP error about a
   * first SYN is not: it comes back over the veth while connect() still holds the socket, and only the one about the
   * repeated SYN, a second later, is told. To tell such a refusal from silence takes 1,500.
   */
  readonly timeout?: number;
}

export interface Port {
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
  /** Milliseconds until a service answers a datagram; 0 by default. */
  readonly delay?: number;
}

/** One connection (TCP) or datagram (UDP) that reached a service. */
export interface Receipt extends Port {
  readonly from: string;
  readonly to: string;
}

/** A flow that stays open. */
export interface Flow {
  /** Sends one byte and waits for its echo; `closed`: a reset, an ICMP error or the end. */
  beat(timeout?: number): Promise<'alive' | 'silent' | 'closed'>;
  release(): Promise<void>;
}

const DEFAULT_TIMEOUT = 400;
const AGENT = fileURLToPath(new URL('../sandbox/agent.mjs', import.meta.url));

/** Serves the ports on all addresses of the place, both families; each answers with a token and echoes. */
export async function listen(place: Place, ...ports: readonly Port[]): Promise<void> {
  await Promise.all(ports.map((port) => ask(place, { op: 'listen', ...port })));
}

/** Ends a service; what is connected stays connected. */
export async function unlisten(place: Place, port: Port): Promise<void> {
  await ask(place, { op: 'close', ...port });
}

/** All that the place's services received so far. */
export async function receipts(place: Place): Promise<readonly Receipt[]> {
  const value = await ask(place, { op: 'received' });
  return listOf(value).map((entry) => ({
    protocol: textOf(entry, 'protocol') === 'tcp' ? 'tcp' : 'udp',
    port: numberOf(entry, 'port'),
    from: textOf(entry, 'from'),
    to: textOf(entry, 'to'),
  }));
}

/** Tries it once. `allowed` means that the service's own answer came back. Many may run at the same time. */
export async function probe(from: Place, target: Target): Promise<Outcome> {
  const value = await ask(from, { op: 'probe', timeout: DEFAULT_TIMEOUT, ...target });
  if (value === 'allowed' || value === 'refused' || value === 'dropped' || value === 'unroutable') return value;
  throw new Error(`agent in ${from.label}: unexpected outcome ${JSON.stringify(value)}`);
}

/** Opens a flow that stays; throws when it isn't allowed. */
export async function openFlow(from: Place, target: Target & { readonly protocol: 'tcp' | 'udp' }): Promise<Flow> {
  const id = Number(await ask(from, { op: 'hold', timeout: DEFAULT_TIMEOUT, ...target }));
  return {
    beat: async (timeout = DEFAULT_TIMEOUT) => {
      const value = await ask(from, { op: 'beat', id, timeout });
      return value === 'alive' || value === 'closed' ? value : 'silent';
    },
    release: async () => void (await ask(from, { op: 'release', id })),
  };
}

interface Agent {
  readonly child: Child;
  readonly waiting: Map<number, { resolve(value: unknown): void; reject(error: Error): void }>;
}

const agents = new WeakMap<Place, Agent>();
let asked = 0;

async function ask(place: Place, request: Readonly<Record<string, unknown>>): Promise<unknown> {
  const agent = agents.get(place) ?? startAgent(place);
  asked += 1;
  const number = asked;
  return await new Promise((resolve, reject) => {
    agent.waiting.set(number, { resolve, reject });
    agent.child.write(`${JSON.stringify({ number, request })}\n`);
  });
}

function startAgent(place: Place): Agent {
  const waiting: Agent['waiting'] = new Map();
  const child = place.spawn(process.execPath, [AGENT], {
    onLine: (line) => {
      const answer: unknown = JSON.parse(line);
      const number = numberOf(answer, 'number');
      const error = fieldOf(answer, 'error');
      const waiter = waiting.get(number);
      waiting.delete(number);
      if (error === undefined) waiter?.resolve(fieldOf(answer, 'value'));
      else waiter?.reject(new Error(`agent in ${place.label}: ${String(error)}`));
    },
  });
  const agent = { child, waiting };
  agents.set(place, agent);
  child.exited.then(
    () => {
      if (agents.get(place) === agent) agents.delete(place);
      const why = `agent in ${place.label}: ended; it said:\n${child.lines.join('\n')}`;
      for (const { reject } of waiting.values()) reject(new Error(why));
    },
    () => undefined,
  );
  return agent;
}
