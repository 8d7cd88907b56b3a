/** Whom a bridge's containers are refused is told of each by name, though all come by one interface; limits hold each alone. */
import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BRIDGE_ROUTES, bridgedNic, createBridge } from '../../sandbox/bridge.ts';
import { cleanUp, makeFolder } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { readLeftovers } from '../../sandbox/end-state.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { INTERNET } from '../../sandbox/host.ts';
import type { Place } from '../../sandbox/place.ts';
import { listen, probe } from '../../sandbox/services.ts';
import { type Routewall, startRoutewall } from './routewall.ts';

const ADDRESSES = {
  web: ['198.51.100.150', '2001:db8:200::150'],
  db: ['198.51.100.160', '2001:db8:200::160'],
} as const;
type Name = keyof typeof ADDRESSES;
const NAMES: readonly Name[] = ['web', 'db'];

const POLICY = `egress:
  rules:
    - { allow: ssh, to: host }
    - { allow: udp/9, to: any }
ingress:
  rules:
    - { allow: ssh, from: any, limit: 1/day burst 3 }
`;

describe('containers on one bridge', () => {
  let rw: Routewall;
  let socket: string;
  const containers = new Map<Name, Container>();
  const places = new Map<Name, Place>();

  beforeAll(async () => {
    socket = join(await makeFolder(), 'wall.sock');
    rw = await startRoutewall({
      host: { routedPrefixes: BRIDGE_ROUTES },
      config: `metrics: { listen: ${socket} }\nconnections: { most: 100, rate: 999999/second }\n`,
      prepare: async ({ host }) => createBridge(host),
    });
    for (const name of NAMES) {
      const container = await rw.addContainer(name, { policy: POLICY, lines: bridgedNic(ADDRESSES[name]) });
      await rw.start(container);
      containers.set(name, container);
      places.set(name, await container.inside());
      await listen(of(places, name), { protocol: 'tcp', port: 22 });
    }
  });
  afterAll(cleanUp);

  function of<T>(map: ReadonlyMap<Name, T>, name: Name): T {
    const found = map.get(name);
    if (found === undefined) throw new Error(`no ${name}`);
    return found;
  }

  async function denials(...words: readonly string[]): Promise<string[]> {
    const { stdout } = await rw.cli('denials', '--json', ...words);
    const rows: Record<'container' | 'direction' | 'peer' | 'peerName' | 'service' | 'hostVeth', string>[] =
      JSON.parse(stdout);
    const veths = new Map<string, string>();
    for (const name of NAMES) veths.set(await of(containers, name).hostVeth(), name);
    return rows
      .filter(({ peer }) => !/^(fe80|ff02|224\.)/.test(peer))
      .map(({ container, hostVeth, direction, peer, peerName, service }) =>
        [container, veths.get(hostVeth) === container, direction, peerName ?? peer, service].join(' '),
      )
      .sort();
  }

  it('each is told what it was refused, in both directions and by its neighbour, by its own name', async () => {
    const [web, db] = [of(places, 'web'), of(places, 'db')];
    await Promise.all([
      probe(web, { protocol: 'tcp', to: INTERNET[0], port: 80 }),
      probe(web, { protocol: 'icmp', to: INTERNET[1] }),
      probe(web, { protocol: 'tcp', to: ADDRESSES.db[0], port: 25 }),
      probe(db, { protocol: 'udp', to: '198.51.100.129', port: 53 }),
      probe(rw.bed.outside, { protocol: 'tcp', to: ADDRESSES.db[1], port: 5432 }),
    ]);
    expect(await denials()).toEqual([
      'db true egress host udp/53',
      expect.stringMatching(/^db true ingress [\d:a-f]+ tcp\/5432$/),
      `web true egress ${INTERNET[1]} icmp6/echo-request`,
      `web true egress ${INTERNET[0]} tcp/80`,
      'web true egress container:db tcp/25',
    ]);
    expect(await denials('-n', 'db')).toHaveLength(2);
    const text = (await rw.cli('denials')).stdout;
    expect(text).toMatch(/^web +egress +container:db \(198\.51\.100\.160\) +tcp\/25 .*default: drop/m);
  });

  it('one that is refused everything hides nothing of the others, live and in metrics', async () => {
    const lines: string[] = [];
    const [program, ...args] = rw.command(['denials', '--follow']);
    const child = rw.bed.host.spawn(program, args, { env: rw.env, onLine: (line) => void lines.push(line) });
    await child.waitForLine(/waiting for what is refused/);
    const flood = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in range(1, 4001): s.sendto(b'x', ('${INTERNET[0]}', port))
`;
    await of(places, 'web').run('/usr/bin/python3', ['-c', flood]);
    await probe(of(places, 'db'), { protocol: 'tcp', to: INTERNET[0], port: 443 });
    await eventually(
      'the other one is told live',
      () => lines.some((line) => / db +egress .* tcp\/443/.test(line)),
      20_000,
    );
    await child.stop('SIGINT');
    const counted = (await denials('-n', 'web', '--limit', '5000')).filter((line) => line.includes('udp/'));
    expect(counted.length).toBeGreaterThan(500);
    expect(counted.length).toBeLessThan(1_100);
    const refused = async (name: Name): Promise<number> => {
      const sample = new RegExp(
        `^routewall_\\w*refused\\w*_total\\{container="${name}",.*direction="egress"\\} (\\d+)$`,
        'm',
      );
      return Number(sample.exec(await scrape())?.[1]);
    };
    expect([(await refused('web')) > 500, (await refused('db')) >= 2, (await refused('db')) < 20]).toEqual([
      true,
      true,
      true,
    ]);
  });

  function scrape(): Promise<string> {
    return new Promise((resolve, reject) => {
      const asked = request({ socketPath: socket, path: '/metrics' }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        response.on('end', () => resolve(text));
      });
      asked.on('error', reject).end();
    });
  }

  it('a limit of a rule counts for each alone', async () => {
    const tried = async (name: Name): Promise<number> => {
      let passed = 0;
      for (let attempt = 0; attempt < 5; attempt += 1)
        if (
          (await probe(rw.bed.outside, { protocol: 'tcp', to: ADDRESSES[name][0], port: 22, timeout: 900 })) ===
          'allowed'
        )
          passed += 1;
      return passed;
    };
    expect([await tried('web'), await tried('db')]).toEqual([3, 3]);
  });

  it('one fills no more of the table of connections than it may, and leaves the rest to the others', async () => {
    const { host, outside } = rw.bed;
    await listen(outside, { protocol: 'udp', port: 9 });
    for (const [at, family] of [
      [0, 'INET'],
      [1, 'INET6'],
    ] as const) {
      const flood = `
import socket
for port in range(20000, 20500):
    s = socket.socket(socket.AF_${family}, socket.SOCK_DGRAM)
    s.bind(('', port))
    s.sendto(b'x', ('${INTERNET[at]}', 9))
`;
      await of(places, 'web').run('/usr/bin/python3', ['-c', flood]);
      const words = ['-L', '-f', at === 0 ? 'ipv4' : 'ipv6', '-p', 'udp', '-s', ADDRESSES.web[at]];
      const { stdout } = await host.run('conntrack', words);
      const taken = stdout.split('\n').filter((line) => line.includes('dport=9 ')).length;
      expect(taken).toBeGreaterThan(50);
      expect(taken).toBeLessThan(110);
      const target = { protocol: 'udp', to: INTERNET[at], port: 9, timeout: 1_500 } as const;
      expect(await probe(of(places, 'web'), target)).not.toBe('allowed');
      expect(await probe(of(places, 'db'), target)).toBe('allowed');
    }
  });

  it('learning from what one is observed to do proposes a policy for it', async () => {
    const after = rw.mark();
    await rw.writePolicy(
      'containers/db.yaml',
      `mode: observe\nuntil: ${new Date(Date.now() + 86_400_000).toISOString()}\n`,
    );
    await rw.enforced('db', { after });
    await listen(rw.bed.outside, { protocol: 'tcp', port: 8080 });
    const target = { protocol: 'tcp', to: INTERNET[0], port: 8080, timeout: 1_500 } as const;
    expect(await probe(of(places, 'db'), target)).toBe('allowed');
    expect(await probe(of(places, 'web'), target)).not.toBe('allowed');
    const { stdout } = await rw.cli('learn', '-n', 'db');
    expect(stdout).toMatch(/allow: .*http-alt.*\n +to: 203[.]0[.]113[.]80/);
    expect((await rw.cli('learn', '-n', 'web')).stdout).not.toContain('http-alt');
  });

  it('nothing is left when all have stopped, of what was counted either', async () => {
    for (const container of containers.values()) await rw.stop(container);
    await expect.poll(() => readLeftovers(rw.bed.host), { timeout: 5_000 }).toEqual([]);
    const counted = async (): Promise<string> =>
      (await rw.bed.host.run('nft', ['list', 'set', 'inet', 'routewall', 'bridged_refused_egress4'])).stdout;
    await eventually('their counters are gone', async () => !(await counted()).includes('elements'), 10_000);
  });
});
