/** Everyone tries to reach everyone, by every protocol and family: what passes is what the policies say. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { HOST_ADDRESSES, INTERNET } from '../../sandbox/host.ts';
import type { Place } from '../../sandbox/place.ts';
import { listen, type Outcome, probe } from '../../sandbox/services.ts';
import { askMany } from './ask-many.ts';
import { BACKENDS } from './backends.ts';
import { addressesOf, nic, type Routewall, startRoutewall } from './routewall.ts';

const PARTIES = ['outside', 'host', 'a', 'b', 'none'] as const;
type Party = (typeof PARTIES)[number];
type Family = 4 | 6;

const SERVICES = ['tcp/22', 'tcp/80', 'udp/53', 'udp/5000', 'icmp/echo-request'] as const;
type Service = (typeof SERVICES)[number];

const POLICY_A = `
egress:
  default: reject
  rules:
    - allow: [tcp/80, udp/53]
      to: container:b
    - drop: udp/53
      to: host
    - allow: icmp/echo-request
      to: any
    - allow: [ssh, udp/5000]
      to: [host, internet]
ingress:
  rules:
    - allow: ssh
      from: host
    - reject: [udp/53, udp/5000]
      from: container:b
    - allow: tcp/80
      from: [203.0.113.0/24, "2001:db8:ffff::/64"]
    - allow: [any]
      from: container:b
`;

const POLICY_B = `
egress:
  rules:
    - drop: tcp/22
      to: any
    - allow: any
      to: [internet, container:a]
ingress:
  default: reject
  rules:
    - allow: tcp/80
      from: container:a
    - allow: udp/53
      from: any
    - allow: icmp/echo-request
      from: [host, internet]
`;

/** By hand, from the policies above: what passes, the same in both families. All that isn't here is refused. */
const PASSES: Readonly<Record<string, readonly Service[]>> = {
  'outside > host': [...SERVICES],
  'host > outside': [...SERVICES],
  'outside > a': ['tcp/80'],
  'outside > b': ['udp/53', 'icmp/echo-request'],
  'host > a': ['tcp/22'],
  'host > b': ['udp/53', 'icmp/echo-request'],
  'a > host': ['tcp/22', 'udp/5000', 'icmp/echo-request'],
  'a > outside': ['tcp/22', 'udp/5000', 'icmp/echo-request'],
  'a > b': ['tcp/80', 'udp/53'],
  'b > a': ['tcp/80', 'icmp/echo-request'],
  'b > outside': ['tcp/80', 'udp/53', 'udp/5000', 'icmp/echo-request'],
};

interface Attempt {
  readonly from: Party;
  readonly to: Party;
  readonly service: Service;
  readonly family: Family;
}

const ATTEMPTS: readonly Attempt[] = PARTIES.flatMap((from) =>
  PARTIES.filter((to) => to !== from).flatMap((to) =>
    SERVICES.flatMap((service) => ([4, 6] as const).map((family) => ({ from, to, service, family }))),
  ),
);

const LAST = { a: 10, b: 20, none: 30 } as const;

function addressOf(party: Party, family: Family): string {
  const index = family === 4 ? 0 : 1;
  if (party === 'outside') return INTERNET[index];
  if (party === 'host') return HOST_ADDRESSES[index].replace(/\/.*/, '');
  return addressesOf(LAST[party])[index];
}

const titleOf = ({ from, to, service, family }: Attempt): string => `${from} > ${to} ${service} IPv${family}`;

describe.each(BACKENDS)('everyone to everyone, by $name', ({ backend, env }) => {
  let routewall: Routewall;
  const places = new Map<Party, Place>();

  beforeAll(async () => {
    routewall = await startRoutewall({
      policies: { 'containers/a.yaml': POLICY_A, 'containers/b.yaml': POLICY_B },
      config: `backend: ${backend}\n`,
      env: await env(),
    });
    places.set('outside', routewall.bed.outside).set('host', routewall.bed.host);
    for (const name of ['a', 'b', 'none'] as const) {
      const container = await routewall.addContainer(name, { lines: nic(addressesOf(LAST[name])) });
      await routewall.start(container);
      places.set(name, await container.inside());
    }
    for (const place of places.values()) {
      await listen(
        place,
        ...[22, 80].map((port) => ({ protocol: 'tcp' as const, port })),
        ...[53, 5000].map((port) => ({ protocol: 'udp' as const, port })),
      );
    }
  });
  afterAll(cleanUp);

  async function attempt({ from, to, service, family }: Attempt): Promise<Outcome> {
    const place = places.get(from);
    if (place === undefined) throw new Error(`no place ${from}`);
    const [protocol = '', port] = service.split('/');
    const target = { to: addressOf(to, family), timeout: 1500, source: addressOf(from, family) };
    if (protocol === 'icmp') return await probe(place, { ...target, protocol });
    if (protocol !== 'tcp' && protocol !== 'udp') throw new Error(service);
    return await probe(place, { ...target, protocol, port: Number(port) });
  }

  function questionOf({ from, to, service, family }: Attempt): string[] {
    const peer = (party: Party): string =>
      party === 'host' ? 'host' : party === 'outside' ? addressOf(party, family) : `container:${party}`;
    return ['explain', '--from', peer(from), '--to', peer(to), service, `-${family}`, '--json'];
  }

  it('lets pass what the policies allow, and nothing else; and explain agrees with every packet', async () => {
    const found = await inTurns(ATTEMPTS, 40, async (one) => [titleOf(one), await attempt(one)] as const);
    const said = (await askMany(routewall, ATTEMPTS.map(questionOf))).map(({ stdout, stderr }) =>
      String(stdout === '' ? stderr : Reflect.get(JSON.parse(stdout), 'verdict')),
    );
    const passed = found.filter(([, outcome]) => outcome === 'allowed').map(([title]) => title);
    const should = ATTEMPTS.filter(({ from, to, service }) => PASSES[`${from} > ${to}`]?.includes(service)).map(
      titleOf,
    );
    expect(passed).toEqual(should);
    expect(ATTEMPTS.map((one, index) => [titleOf(one), outcomeOf(titleOf(one), said[index] ?? '')])).toEqual(found);
    expect(found.length).toBe(200);
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
  for (let next = 0; next < items.length; next += atOnce) {
    results.push(...(await Promise.all(items.slice(next, next + atOnce).map(step))));
  }
  return results;
}
