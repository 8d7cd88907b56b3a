// Runs inside a network namespace: serves TCP and UDP ports there and tries connections from there. Requests and
// answers are lines of JSON on standard input and output. Plain JavaScript, since the Node that runs it reads no types.
import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { connect, createServer, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { createInterface } from 'node:readline';

const received = [];
const servers = new Map();
const held = new Map();

// A refusal: a TCP reset or an ICMP error about the packet. ENETUNREACH is this side's own lack of a route.
const REFUSALS = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'EACCES', 'ECONNRESET', 'EPERM']);
const verdictOf = (error) => {
  if (REFUSALS.has(error.code)) return 'refused';
  if (error.code === 'ENETUNREACH' || error.code === 'EADDRNOTAVAIL') return 'unroutable';
  throw error;
};
const token = (protocol, port) => `routewall ${protocol}/${port}\n`;

const requests = {
  listen: async ({ protocol, port, delay = 0 }) => {
    const key = `${protocol}/${port}`;
    if (!servers.has(key)) servers.set(key, protocol === 'tcp' ? await serveTcp(port) : await serveUdp(port, delay));
    return true;
  },
  close: async ({ protocol, port }) => {
    const key = `${protocol}/${port}`;
    for (const server of servers.get(key) ?? []) server.close();
    return servers.delete(key);
  },
  received: async () => received,
  probe: (request) => probes[request.protocol](request),
  hold: (request) => holders[request.protocol](request),
  beat: ({ id, timeout }) => beat(id, timeout),
  release: async ({ id }) => {
    const { socket, protocol } = heldOf(id);
    held.delete(id);
    if (protocol === 'tcp') socket.destroy();
    else socket.close();
    return true;
  },
};

function serveTcp(port) {
  const server = createServer((socket) => {
    // Of one that has gone already nobody is told who it was.
    received.push({
      protocol: 'tcp',
      port,
      from: plain(socket.remoteAddress ?? 'gone'),
      to: plain(socket.localAddress),
    });
    socket.on('error', () => socket.destroy());
    socket.write(token('tcp', port));
    socket.pipe(socket);
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host: '::' }, () => resolve([server]));
  });
}

/** A socket for each address, so that the answer comes from the address that was asked; the wildcards serve later ones. */
function serveUdp(port, delay) {
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const addresses = new Set(own.map(({ address }) => address).filter((address) => !address.startsWith('fe80:')));
  return Promise.all([...addresses, '0.0.0.0', '::'].map((address) => serveUdpOn(address, port, delay)));
}

function serveUdpOn(address, port, delay) {
  const v6 = isIP(address) === 6;
  const socket = createSocket({ type: v6 ? 'udp6' : 'udp4', reuseAddr: true, ipv6Only: v6 });
  socket.on('message', (message, sender) => {
    received.push({ protocol: 'udp', port, from: plain(sender.address), to: address });
    // Two of these would answer each other's answers for ever.
    if (message.toString('latin1').startsWith('routewall udp/')) return;
    const answer = Buffer.concat([Buffer.from(token('udp', port)), message]);
    setTimeout(() => socket.send(answer, sender.port, sender.address), delay);
  });
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, address, () => {
      socket.off('error', reject);
      // An answer that this namespace's own rules refuse is told by the asking side.
      socket.on('error', () => undefined);
      resolve(socket);
    });
  });
}

const probes = {
  tcp: async ({ to, port, source, timeout }) => {
    const socket = connect({ host: to, port, localAddress: source });
    try {
      return await settle(socket, timeout, (resolve) => socket.once('data', () => resolve('allowed')));
    } finally {
      // A probe shall leave no half-closed flow behind. While it connects, a reset would wait, and go on asking.
      if (socket.connecting) socket.destroy();
      else socket.resetAndDestroy();
    }
  },
  udp: async ({ to, port, source, timeout }) => {
    const socket = createSocket(isIP(to) === 6 ? 'udp6' : 'udp4');
    try {
      return await settle(socket, timeout, (resolve, reject) => {
        socket.once('message', () => resolve('allowed'));
        socket.bind(0, source, () => {
          socket.connect(port, to, (error) =>
            error ? reject(error) : socket.send('?', (failed) => failed && reject(failed)),
          );
        });
      });
    } finally {
      socket.close();
    }
  },
  icmp: ({ to, source, timeout }) =>
    new Promise((resolve, reject) => {
      const from = source === undefined ? [] : ['-I', source];
      const args = ['-n', '-c', '1', '-W', String(timeout / 1000), ...from, to];
      execFile('ping', args, { env: { ...process.env, LC_ALL: 'C' } }, (error, stdout, stderr) => {
        const said = stdout + stderr;
        if (error === null) resolve('allowed');
        else if (/Network is unreachable|Cannot assign/.test(said)) resolve('unroutable');
        else if (/unreachable|prohibited|filtered|failed policy/i.test(said)) resolve('refused');
        else if (error.code === 1) resolve('dropped');
        else reject(new Error(`ping ${args.join(' ')}: ${said}`));
      });
    }),
};

/** `begin`'s verdict, the error's, or `dropped` after the time. */
function settle(socket, timeout, begin) {
  return new Promise((resolve, reject) => {
    const cancel = after(timeout, () => resolve('dropped'));
    const fail = (error) => {
      try {
        resolve(verdictOf(error));
      } catch (unexpected) {
        reject(unexpected);
      }
    };
    const done = (verdict) => {
      cancel();
      resolve(verdict);
    };
    socket.on('error', fail);
    begin(done, fail);
  });
}

/**
 * A busy machine must not turn an answer into a loss: what a step of the time takes too long is others' time, and isn't
 * counted. @returns what keeps it from happening.
 */
function after(milliseconds, happen) {
  const step = milliseconds / 10;
  let left = milliseconds;
  let last = performance.now();
  const tick = () => {
    const now = performance.now();
    left -= Math.min(now - last, 1.5 * step);
    last = now;
    if (left >= 1) timer = setTimeout(tick, Math.min(step, left));
    // Timers run before the sockets are read.
    else setImmediate(() => setImmediate(happen));
  };
  let timer = setTimeout(tick, step);
  return () => clearTimeout(timer);
}

let nextHeld = 0;

const holders = {
  tcp: async ({ to, port, source, timeout }) => {
    const socket = connect({ host: to, port, localAddress: source });
    const verdict = await settle(socket, timeout, (resolve) => socket.once('data', () => resolve('allowed')));
    return hold('tcp', socket, verdict);
  },
  udp: async ({ to, port, source, timeout }) => {
    const socket = createSocket(isIP(to) === 6 ? 'udp6' : 'udp4');
    const verdict = await settle(socket, timeout, (resolve, reject) => {
      socket.once('message', () => resolve('allowed'));
      socket.bind(0, source, () => socket.connect(port, to, (error) => (error ? reject(error) : socket.send('?'))));
    });
    return hold('udp', socket, verdict);
  },
};

function hold(protocol, socket, verdict) {
  if (verdict !== 'allowed') throw new Error(`a flow to hold was ${verdict}`);
  nextHeld += 1;
  const entry = { protocol, socket, error: undefined };
  held.set(nextHeld, entry);
  socket.on('error', (error) => {
    entry.error = error;
  });
  if (protocol === 'tcp') socket.on('close', () => (entry.error ??= new Error('closed')));
  return nextHeld;
}

/** Sends a byte on a held flow: `alive` when it comes back, `closed` when the flow was ended, `silent` else. */
function beat(id, timeout) {
  const { protocol, socket, error } = heldOf(id);
  if (error !== undefined) return Promise.resolve('closed');
  return new Promise((resolve) => {
    const answer = (verdict) => {
      cancel();
      socket.off('data', alive).off('message', alive).off('error', closed).off('close', closed);
      resolve(verdict);
    };
    const alive = () => answer('alive');
    const closed = () => answer('closed');
    const cancel = after(timeout, () => answer('silent'));
    socket
      .on(protocol === 'tcp' ? 'data' : 'message', alive)
      .on('error', closed)
      .on('close', closed);
    if (protocol === 'tcp') socket.write('.');
    else socket.send('.');
  });
}

function heldOf(id) {
  const entry = held.get(id);
  if (entry === undefined) throw new Error(`no flow ${id}`);
  return entry;
}

const plain = (address) => address?.replace(/^::ffff:/, '');

for await (const line of createInterface({ input: process.stdin })) {
  const { number, request } = JSON.parse(line);
  const answer = (text) => process.stdout.write(`${JSON.stringify({ number, ...text })}\n`);
  Promise.resolve()
    .then(() => requests[request.op](request))
    .then(
      (value) => answer({ value }),
      (error) => answer({ error: String(error) }),
    );
}
// The sandbox is gone.
process.exit(0);
