/** Containers on a bridge: the same policies, whatever they send to, and addresses that nobody knows before they are leased. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  BRIDGE_ADDRESSES,
  BRIDGE_ROUTES,
  bridgedNic,
  createBridge,
  type Leases,
  makeLeases,
  startDnsmasq,
  UDHCPC,
} from '../../sandbox/bridge.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { readLeftovers } from '../../sandbox/end-state.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { INTERNET } from '../../sandbox/host.ts';
import type { Place } from '../../sandbox/place.ts';
import { listen, type Outcome, probe, receipts } from '../../sandbox/services.ts';
import { askMany } from './ask-many.ts';
import { addressesOf, nic, type Routewall, startRoutewall } from './routewall.ts';

const PARTIES = ['outside', 'host', 'routed', 'fixed', 'leased', 'shut'] as const;
type Party = (typeof PARTIES)[number];
type Family = 4 | 6;

const SERVICES = ['tcp/80', 'udp/53', 'icmp/echo-request'] as const;
type Service = (typeof SERVICES)[number];

const POLICIES = {
  'containers/routed.yaml': `
masquerade: true
egress:
  rules:
    - allow: tcp/80
      to: [container:fixed, container:leased]
ingress:
  rules:
    - allow: [tcp/80, icmp/echo-request]
      from: container:fixed
`,
  'containers/fixed.yaml': `
egress:
  default: reject
  rules:
    - allow: icmp/echo-request
      to: any
    - allow: tcp/80
      to: [internet, container:routed, container:leased]
    - allow: udp/53
      to: host
ingress:
  rules:
    - allow: tcp/80
      from: [internet, container:routed]
    - allow: udp/53
      from: container:leased
`,
  'containers/leased.yaml': `
egress:
  rules:
    - allow: [udp/53, icmp/echo-request]
      to: [host, container:fixed]
    - allow: tcp/80
      to: internet
ingress:
  default: reject
  rules:
    - allow: tcp/80
      from: [host, container:fixed]
`,
};

/** By hand, from the policies above: what passes. All that isn't here is refused. */
const PASSES: Readonly<Record<string, readonly Service[]>> = {
  'outside > host': [...SERVICES],
  'host > outside': [...SERVICES],
  'outside > fixed': ['tcp/80'],
  'fixed > outside': ['tcp/80', 'icmp/echo-request'],
  'fixed > host': ['udp/53', 'icmp/echo-request'],
  'fixed > routed': ['tcp/80', 'icmp/echo-request'],
  'fixed > leased': ['tcp/80'],
  'routed > fixed': ['tcp/80'],
  'leased > host': ['udp/53', 'icmp/echo-request'],
  'leased > outside': ['tcp/80'],
  'leased > fixed': ['udp/53'],
  'host > leased': ['tcp/80'],
};

const ADDRESSES: Readonly<Record<'routed' | 'fixed' | 'shut', readonly [string, string]>> = {
  routed: addressesOf(10),
  fixed: ['198.51.100.150', '2001:db8:200::150'],
  shut: ['198.51.100.160', '2001:db8:200::160'],
};

interface Attempt {
  readonly from: Party;
  readonly to: Party;
  readonly service: Service;
  readonly family: Family;
}

const titleOf = ({ from, to, service, family }: Attempt): string => `${from} > ${to} ${service} IPv${family}`;

const ATTEMPTS: readonly Attempt[] = PARTIES.flatMap((from) =>
  PARTIES.filter((to) => to !== from).flatMap((to) =>
    SERVICES.flatMap((service) => ([4, 6] as const).map((family) => ({ from, to, service, family }))),
  ),
).filter(({ from, to, family }) => family === 4 || ![from, to].includes('leased'));

describe('containers on a bridge', () => {
  let rw: Routewall;
  let leases: Leases;
  let leased: Container;
  const containers: Container[] = [];
  const places = new Map<Party, Place>();

  beforeAll(async () => {
    leases = await makeLeases();
    rw = await startRoutewall({
      host: { routedPrefixes: BRIDGE_ROUTES },
      policies: POLICIES,
      config: `leases: ${leases.pattern}\n`,
      prepare: async ({ host }) => createBridge(host),
    });
    const routed = await rw.addContainer('routed', { lines: nic(ADDRESSES.routed) });
    const fixed = await rw.addContainer('fixed', {
      lines: bridgedNic(ADDRESSES.fixed, { hwaddr: '02:16:3e:00:00:01' }),
    });
    const shut = await rw.addContainer('shut', { lines: bridgedNic(ADDRESSES.shut) });
    leased = await rw.addContainer('leased', {
      // Whatever hardware address the kernel gives, the lease is found by it.
      lines: bridgedNic([]),
      command: UDHCPC,
    });
    containers.push(routed, fixed, shut, leased);
    for (const container of containers) await rw.start(container);
    places.set('outside', rw.bed.outside).set('host', rw.bed.host);
    places.set('routed', await routed.inside()).set('fixed', await fixed.inside());
    places.set('shut', await shut.inside()).set('leased', await leased.inside());
    for (const place of places.values())
      await listen(place, { protocol: 'tcp', port: 80 }, { protocol: 'udp', port: 53 });
  });
  afterAll(cleanUp);

  const placeOf = (party: Party): Place => {
    const place = places.get(party);
    if (place === undefined) throw new Error(`no place ${party}`);
    return place;
  };

  it('nothing but DHCP passes before there is a lease', async () => {
    const inside = placeOf('leased');
    await inside.run('ip', ['address', 'add', '198.51.100.205/25', 'dev', 'eth0']);
    await inside.run('ip', ['route', 'add', 'default', 'via', '198.51.100.129']);
    const send = async (): Promise<Outcome[]> =>
      await Promise.all(
        [INTERNET[0], '198.51.100.129', ADDRESSES.fixed[0]].map((to) =>
          probe(inside, { protocol: 'udp', port: 53, to, timeout: 1_500 }),
        ),
      );
    expect(await send()).not.toContain('allowed');
    await inside.run('ip', ['address', 'del', '198.51.100.205/25', 'dev', 'eth0']);
    for (const party of ['host', 'outside', 'fixed'] as const)
      expect((await receipts(placeOf(party))).map(({ from }) => from)).not.toContain('198.51.100.205');
    expect((await rw.cli('list')).stdout).toMatch(/^leased .*waits for a lease/m);
  });

  it('what is leased is its own, from the moment that the server says so', async () => {
    await startDnsmasq(rw.bed.host, leases);
    await eventually('there is a lease', async () => (await leased.exec('cat', ['/run/leased'])).stdout !== '').catch(
      () => undefined,
    );
    const address = await leasedAddress();
    expect(await readFile(leases.file, 'utf8')).toContain(address);
    await eventually('it is let out', async () => {
      const target = { protocol: 'tcp', port: 80, to: INTERNET[0], timeout: 1_500 } as const;
      return (await probe(placeOf('leased'), target)) === 'allowed';
    });
  });

  const leasedAddress = async (): Promise<string> => (await leased.exec('cat', ['/run/leased'])).stdout.trim();

  async function addressOf(party: Party, family: Family): Promise<string> {
    const index = family === 4 ? 0 : 1;
    if (party === 'outside') return INTERNET[index];
    if (party === 'host') return BRIDGE_ADDRESSES[index].replace(/\/.*/, '');
    return party === 'leased' ? await leasedAddress() : ADDRESSES[party][index];
  }

  async function attempt({ from, to, service, family }: Attempt): Promise<Outcome> {
    const [protocol = '', port] = service.split('/');
    const target = { to: await addressOf(to, family), timeout: 1_500, source: await addressOf(from, family) };
    if (protocol === 'tcp' || protocol === 'udp')
      return await probe(placeOf(from), { ...target, protocol, port: Number(port) });
    return await probe(placeOf(from), { ...target, protocol: 'icmp' });
  }

  async function questionOf({ from, to, service, family }: Attempt): Promise<string[]> {
    const peer = async (party: Party): Promise<string> =>
      party === 'host' ? 'host' : party === 'outside' ? await addressOf(party, family) : `container:${party}`;
    return ['explain', '--from', await peer(from), '--to', await peer(to), service, `-${family}`, '--json'];
  }

  it('what the policies allow passes, and nothing else; and explain agrees with every packet', async () => {
    const found = await inTurns(ATTEMPTS, 40, async (one) => [titleOf(one), await attempt(one)] as const);
    const passed = found.filter(([, outcome]) => outcome === 'allowed').map(([title]) => title);
    const should = ATTEMPTS.filter(({ from, to, service }) => PASSES[`${from} > ${to}`]?.includes(service));
    expect(passed).toEqual(should.map(titleOf));
    const answers = await askMany(rw, await Promise.all(ATTEMPTS.map(questionOf)));
    const said = answers.map(({ stdout, stderr }) =>
      String(stdout === '' ? stderr : Reflect.get(JSON.parse(stdout), 'verdict')),
    );
    expect(found).toEqual(ATTEMPTS.map((one, index) => [titleOf(one), outcomeOf(titleOf(one), said[index] ?? '')]));
  });

  it('a masqueraded one is who it is to them, though their bridge counts among the uplinks', async () => {
    const heard = (await receipts(placeOf('fixed'))).map(({ from }) => from);
    expect(heard).toEqual(expect.arrayContaining([...ADDRESSES.routed]));
  });

  it('nothing is left when all have stopped', async () => {
    for (const container of containers) await rw.stop(container);
    await expect.poll(() => readLeftovers(rw.bed.host), { timeout: 5_000 }).toEqual([]);
  });
});

/** A datagram that the host's own output chain drops fails in the sender's system call (EPERM), which isn't silence. */
function outcomeOf(title: string, verdict: string): string {
  if (verdict === 'drop') return title.startsWith('host > ') && title.includes('udp/') ? 'refused' : 'dropped';
  return verdict === 'allow' ? 'allowed' : verdict === 'reject' ? 'refused' : verdict;
}

/** In order, so many at once. */
async function inTurns<T, R>(items: readonly T[], atOnce: number, step: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let next = 0; next < items.length; next += atOnce)
    results.push(...(await Promise.all(items.slice(next, next + atOnce).map(step))));
  return results;
}
