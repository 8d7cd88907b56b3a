/** Masquerade and published ports with real containers: who gets where, as whom, and that explain says the same. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startCapture } from '../../sandbox/capture.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { HOST_ADDRESSES, INTERNET } from '../../sandbox/host.ts';
import type { Place } from '../../sandbox/place.ts';
import { listen, type Outcome, probe, receipts } from '../../sandbox/services.ts';
import { attack } from './hostile.ts';
import { addressesOf, nic, type Routewall, startRoutewall } from './routewall.ts';

type Family = 4 | 6;
const FAMILIES = [4, 6] as const;
const of = <T>(pair: readonly [T, T], family: Family): T => pair[family === 4 ? 0 : 1];

const HOST: readonly [string, string] = [HOST_ADDRESSES[0].replace(/\/.*/, ''), HOST_ADDRESSES[1].replace(/\/.*/, '')];
/** A second address of the host's, on the same uplink. */
const SECOND = ['192.0.2.7', '2001:db8:0:1::7'] as const;
const NEIGHBOUR = ['192.0.2.2', '2001:db8:0:1::2'] as const;

const POLICIES = {
  web: `
publish:
  - { tcp: 8080, to: 80 }
  - { tcp: 8081-8082, to: 81, on: ["${HOST[0]}", "${HOST[1]}"] }
  - { udp: 5353, to: 53 }
egress:
  rules:
    - { allow: tcp/80, to: "container:web" }
ingress:
  rules:
    - drop: tcp/80
      from: ["${INTERNET[0]}", "${INTERNET[1]}"]
    - { allow: [tcp/80, udp/53], from: any }
    - { reject: tcp/81, from: any }
`,
  both: 'masquerade: true\negress: { default: allow }\n',
  given: `masquerade: ["${SECOND[0]}", "${SECOND[1]}"]\negress: { default: allow }\n`,
  plain: 'egress: { rules: [{ allow: tcp/80, to: any }, { allow: udp/53, to: host }] }\n',
} as const;
type Name = keyof typeof POLICIES;
const LAST: Readonly<Record<Name, number>> = { web: 10, both: 20, given: 30, plain: 40 };
const NAMES = Object.keys(LAST) as readonly Name[];

describe('translated addresses', () => {
  let routewall: Routewall;
  const places = new Map<string, Place>();

  beforeAll(async () => {
    routewall = await startRoutewall({
      // Nobody outside has a way to the containers but translation.
      host: { routedPrefixes: [] },
      policies: Object.fromEntries(NAMES.map((name) => [`containers/${name}.yaml`, POLICIES[name]])),
      prepare: async ({ host }) => {
        await host.run('ip', ['address', 'add', `${SECOND[0]}/24`, 'dev', 'eth0']);
        await host.run('ip', ['address', 'add', `${SECOND[1]}/64`, 'dev', 'eth0', 'nodad']);
      },
    });
    places.set('outside', routewall.bed.outside).set('host', routewall.bed.host);
    for (const name of NAMES) {
      const container = await routewall.addContainer(name, { lines: nic(addressesOf(LAST[name])) });
      await routewall.start(container);
      places.set(name, await container.inside());
    }
    const ports = (protocol: 'tcp' | 'udp', ...list: readonly number[]) => list.map((port) => ({ protocol, port }));
    await listen(placeOf('web'), ...ports('tcp', 80, 81, 82), ...ports('udp', 53));
    await listen(routewall.bed.outside, ...ports('tcp', 80), ...ports('udp', 53));
    await listen(routewall.bed.host, ...ports('tcp', 80, 9999), ...ports('udp', 53));
  });
  afterAll(cleanUp);

  function placeOf(name: string): Place {
    const place = places.get(name);
    if (place === undefined) throw new Error(`no place ${name}`);
    return place;
  }

  /** The sender's address as the receiver saw it. */
  async function seenBy(receiver: string, send: () => Promise<Outcome>): Promise<string | undefined> {
    const before = (await receipts(placeOf(receiver))).length;
    expect(await send()).toBe('allowed');
    const [first] = (await receipts(placeOf(receiver))).slice(before);
    return first?.from.replace(/^::ffff:/, '');
  }

  const tcp = (from: string, to: string, port: number, source?: string): Promise<Outcome> =>
    probe(placeOf(from), { protocol: 'tcp', to, port, timeout: 3_000, ...(source === undefined ? {} : { source }) });

  it.each(FAMILIES)('masquerades IPv%s behind the uplink, or behind the given address', async (family) => {
    const to = of(INTERNET, family);
    // Of several IPv6 addresses of an uplink the kernel takes which it likes.
    const uplink = family === 4 ? [HOST[0]] : [HOST[1], SECOND[1]];
    expect(uplink).toContain(await seenBy('outside', () => tcp('both', to, 80)));
    expect(await seenBy('outside', () => tcp('given', to, 80))).toBe(of(SECOND, family));
    const datagram = { protocol: 'udp', to, port: 53, timeout: 3_000 } as const;
    expect(uplink).toContain(await seenBy('outside', () => probe(placeOf('both'), datagram)));
    expect(await probe(placeOf('given'), { protocol: 'icmp', to, timeout: 3_000 })).toBe('allowed');
    // The control: nobody answers an address that nobody has a route to.
    expect(await probe(placeOf('plain'), { protocol: 'tcp', to, port: 80 })).toBe('dropped');
  });

  it.each(FAMILIES)('masquerades nothing of IPv%s between containers, and nothing to the host', async (family) => {
    const own = of(addressesOf(LAST.both), family);
    expect(await seenBy('web', () => tcp('both', of(addressesOf(LAST.web), family), 80))).toBe(own);
    expect(await seenBy('host', () => tcp('both', of(HOST, family), 80))).toBe(own);
  });

  it.each(FAMILIES)('leads published ports of IPv%s to the container, which sees the client itself', async (family) => {
    const neighbour = of(NEIGHBOUR, family);
    const web = (from: string, source?: string) => seenBy('web', () => tcp(from, of(HOST, family), 8080, source));
    expect(await web('outside', neighbour)).toBe(neighbour);
    expect(await web('both')).toBe(of(addressesOf(LAST.both), family));
    expect(await web('plain')).toBe(of(addressesOf(LAST.plain), family));
    // Its own address would be no sender to it.
    expect(await web('web')).toBe(of(HOST, family));
    expect(await web('host')).toBe(of(HOST, family));
    expect(await seenBy('web', () => tcp('outside', of(SECOND, family), 8080, neighbour))).toBe(neighbour);
    const datagram = { protocol: 'udp', to: of(HOST, family), port: 5353, source: neighbour, timeout: 3_000 } as const;
    expect(await seenBy('web', () => probe(placeOf('outside'), datagram))).toBe(neighbour);
  });

  const PEERS = ['internet', 'neighbour', 'host', 'both', 'plain', 'web'] as const;
  const PORTS = ['tcp/8080', 'tcp/8081', 'tcp/8082', 'udp/5353', 'tcp/9999'] as const;
  const attempts = PEERS.flatMap((peer) =>
    PORTS.flatMap((service) =>
      FAMILIES.filter((family) => family === 4 || peer === 'internet' || peer === 'web').map((family) => ({
        ...{ peer, service, family },
      })),
    ),
  );

  it.each(['both', 'given'] as const)('%s sends nothing that conntrack makes nothing of as itself', async (name) => {
    const { host, outside } = routewall.bed;
    const own = addressesOf(LAST[name]);
    const { stdout } = await routewall.cli('status', '--json');
    const [, veth = ''] = new RegExp(`"container": "${name}".*?"hostVeth": "(\\w+)"`, 's').exec(stdout) ?? [];
    const hostMac = (await host.run('cat', [`/sys/class/net/${veth}/address`])).stdout.trim();
    const filter = own.map((address) => `src host ${address}`).join(' or ');
    const seen = await startCapture(outside, { device: 'eth0', filter, direction: 'in' });
    const sctp = 'Raw(bytes([4,0,0,9,0,0,0,1,0,0,0,0])+b"\\0\\0\\0\\x20"+b"x"*28)';
    await attack({ place: placeOf(name), hostMac, own }, [
      ['wrong checksums', `E/IP(src=ME4,dst="${INTERNET[0]}")/UDP(sport=1002,dport=9,chksum=0x1234)/M`],
      ['the same', `E/IPv6(src=ME6,dst="${INTERNET[1]}")/UDP(sport=1002,dport=9,chksum=0x1234)/M`],
      ['the same of ICMP', `E/IP(src=ME4,dst="${INTERNET[0]}")/ICMP(chksum=0x1234)/M`],
      ['SCTP from the middle', `E/IP(src=ME4,dst="${INTERNET[0]}",proto=132)/${sctp}`],
    ]);
    await sleep(500);
    expect((await seen.stop()).lines).toEqual([]);
  });

  it('explain says of each attempt what the kernel does', async () => {
    const wrong: string[] = [];
    for (let next = 0; next < attempts.length; next += 4) {
      await Promise.all(
        attempts.slice(next, next + 4).map(async ({ peer, service, family }) => {
          const [protocol, port] = service.split('/');
          const isOutside = peer === 'internet' || peer === 'neighbour';
          const source = peer === 'internet' ? of(INTERNET, family) : of(NEIGHBOUR, family);
          const outcome = await probe(placeOf(isOutside ? 'outside' : peer), {
            protocol: protocol === 'udp' ? 'udp' : 'tcp',
            to: of(HOST, family),
            port: Number(port),
            timeout: 1500,
            ...(isOutside ? { source } : {}),
          });
          const from = isOutside ? source : peer === 'host' ? 'host' : `container:${peer}`;
          const said = await explain(from, of(HOST, family), service, `-${family}`);
          const verdict = Reflect.get(Object(said), 'verdict');
          const expected = { allow: 'allowed', drop: 'dropped', reject: 'refused' }[String(verdict)];
          if (expected !== outcome) wrong.push(`${peer} ${service} IPv${family}: ${outcome}, explained as ${verdict}`);
        }),
      );
    }
    expect(wrong).toEqual([]);
  });

  async function explain(from: string, to: string, service: string, ...more: string[]): Promise<unknown> {
    const { stdout, stderr } = await routewall.cli('explain', '--from', from, '--to', to, service, ...more, '--json');
    return stdout === '' ? stderr : JSON.parse(stdout);
  }

  it('explain shows where a published port leads, and what a container leaves as', async () => {
    const asked = await explain(NEIGHBOUR[0], HOST[0], 'tcp/8080');
    expect(asked).toMatchObject({
      verdict: 'allow',
      destination: HOST[0],
      translation: { destination: '198.51.100.10', port: 80 },
      steps: [
        { at: 'published by web', note: `${HOST[0]} tcp/8080 leads to 198.51.100.10 tcp/80` },
        { at: 'ingress of web' },
      ],
    });
    expect(await explain(NEIGHBOUR[0], 'container:web', 'tcp/80', '-4')).toMatchObject({
      translation: {
        publishedAs: [
          { on: HOST[0], port: 8080 },
          { on: SECOND[0], port: 8080 },
        ],
      },
    });
    expect(await explain('container:given', INTERNET[1], 'tcp/80')).toMatchObject({
      translation: { source: SECOND[1] },
    });
    const { stdout } = await routewall.cli('explain', '--from', 'container:both', '--to', INTERNET[0], 'tcp/80');
    expect(stdout).toMatch(/✓ masquerade of both +it leaves as /);
  });
});
