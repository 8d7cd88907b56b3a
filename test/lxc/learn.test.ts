/** From a container that is observed to a policy that allows what it did and nothing else, on a real host. */
import { afterEach, expect, it } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { HOST_ADDRESSES, INTERNET } from '../../sandbox/host.ts';
import type { Place } from '../../sandbox/place.ts';
import { listen, openFlow, probe, type Target } from '../../sandbox/services.ts';
import { addressesOf, nic, OPEN, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const [HOST4, HOST6] = HOST_ADDRESSES.map((address) => address.replace(/\/.*/, ''));
const [WEB4, WEB6] = addressesOf(20);
const [DB4, DB6] = addressesOf(30);
const [NET4, NET6] = INTERNET;

const inSeconds = (seconds: number): string =>
  new Date(Date.now() + seconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z');

const policy = (until: string): string => `# the build team's; what it needs isn't known yet
mode: observe
until: ${until} # a day will do
egress:
  default: reject
  rules:
    # on purpose
    - drop: smtp
      to: any
`;

interface Attempt extends Target {
  readonly from: 'web' | 'db' | 'host' | 'outside';
}

const tcp = (from: Attempt['from'], port: number, ...to: readonly (string | undefined)[]): Attempt[] =>
  to.map((address = '') => ({ from, protocol: 'tcp', to: address, port }));
const udp = (from: Attempt['from'], port: number, ...to: readonly (string | undefined)[]): Attempt[] =>
  to.map((address = '') => ({ from, protocol: 'udp', to: address, port }));
const ping = (from: Attempt['from'], ...to: readonly (string | undefined)[]): Attempt[] =>
  to.map((address = '') => ({ from, protocol: 'icmp', to: address }));

/** What the container does before it is started again, and after. */
const NEEDED = [
  ...tcp('web', 873, HOST4, HOST6),
  ...udp('web', 53, NET4),
  ...tcp('web', 443, NET4, NET6),
  ...tcp('web', 5432, DB4, DB6),
  ...ping('web', HOST4, HOST6, DB6),
  ...tcp('outside', 22, WEB4, WEB6),
  ...tcp('host', 80, WEB4),
];
const LATE = [...tcp('web', 3128, HOST4), ...ping('outside', WEB6)];

/** What nobody did while it was observed, next door to what was done. */
const OTHER = [
  ...tcp('web', 22, HOST4, HOST6, DB4),
  ...udp('web', 53, HOST4, NET6),
  ...tcp('web', 873, DB4, NET4),
  ...ping('web', NET4),
  ...tcp('outside', 80, WEB4, WEB6),
  ...tcp('host', 22, WEB6),
  ...tcp('db', 22, WEB4),
];

type Places = ReadonlyMap<Attempt['from'], Place>;

async function start(until: string) {
  const rw = await startRoutewall({});
  const web = await rw.addContainer('web', { lines: nic(addressesOf(20)), policy: policy(until) });
  const db = await rw.addContainer('db', { lines: nic(addressesOf(30)), policy: OPEN });
  await Promise.all([rw.start(web), rw.start(db)]);
  return { rw, web, places: await listening(rw, web, db) };
}

async function listening({ bed: { host, outside } }: Routewall, web: Container, db: Container): Promise<Places> {
  const places = new Map([
    ['web', await web.inside()],
    ['db', await db.inside()],
    ['host', host],
    ['outside', outside],
  ] as const);
  for (const place of places.values()) {
    await listen(place, ...[22, 25, 80, 443, 873, 3128, 5432].map((port) => ({ protocol: 'tcp' as const, port })));
    await listen(place, { protocol: 'udp', port: 53 });
  }
  return places;
}

function placeOf(places: Places, party: Attempt['from']): Place {
  const place = places.get(party);
  if (place === undefined) throw new Error(party);
  return place;
}

async function attempts(places: Places, list: readonly Attempt[]): Promise<string[]> {
  return Promise.all(
    list.map(async ({ from, ...target }) => {
      const outcome = await probe(placeOf(places, from), { ...target, timeout: 1500 });
      const passed = outcome === 'allowed' ? 'passes' : 'is refused';
      return `${from} > ${target.to} ${target.protocol}/${target.port ?? 'echo'} ${passed}`;
    }),
  );
}

const passing = (lines: readonly string[]): string[] => lines.filter((line) => line.endsWith(' passes'));

it('proposes from what passed while it was observed, and then the same passes and nothing else', async () => {
  const { rw, web, places } = await start(inSeconds(86_400));
  expect(passing(await attempts(places, NEEDED))).toHaveLength(NEEDED.length);
  expect(passing(await attempts(places, tcp('web', 25, NET4)))).toHaveLength(1);
  // Its interface has another name now, and what it did is known still.
  await rw.stop(web);
  await rw.start(web);
  const again = new Map(places).set('web', await web.inside());
  await listen(await web.inside(), ...[22, 80].map((port) => ({ protocol: 'tcp' as const, port })));
  expect(passing(await attempts(again, LATE))).toHaveLength(LATE.length);

  const { stdout, stderr, exitCode } = await rw.cli('learn', '-n', 'web');
  expect(exitCode).toBe(0);
  expect(
    stdout.replaceAll(/# \d+ packets?, the last at \S+/g, '# …'),
  ).toBe(`# the build team's; what it needs isn't known yet
egress:
  default: reject
  rules:
    # on purpose
    - drop: smtp
      to: any
    # …
    - allow: [ping, rsync, squid]
      to: host
    # …
    - allow: [ping, postgresql]
      to: container:db
    # …
    # wider than seen: dns: tcp/53 too
    - allow: [dns, https]
      to: 203.0.113.80
    # …
    - allow: https
      to: 2001:db8:ffff::80
ingress:
  rules:
    # …
    - allow: http
      from: host
    # …
    - allow: ping
      from: 2001:db8:0:1::2
    # …
    - allow: ssh
      from: [192.0.2.2, 2001:db8:0:1::2]`);
  expect(stderr).toContain('a rule refuses it: web.yaml:8');
  const after = rw.mark();
  await rw.writePolicy('containers/web.yaml', stdout);
  await rw.enforced('web', { after });
  expect((await rw.cli('check')).exitCode).toBe(0);
  const still = await attempts(again, [...NEEDED, ...LATE]);
  expect(still.filter((line) => !line.endsWith(' passes'))).toEqual([]);
  expect(passing(await attempts(again, [...OTHER, ...tcp('web', 25, NET4)]))).toEqual([]);
  expect((await rw.cli('learn', '-n', 'web')).exitCode).toBe(1);
});

it('status, list, explain and check say that it is observed; its end is an end', async () => {
  const { rw, places } = await start(inSeconds(86_400));
  const isSaid = async (): Promise<boolean> =>
    /web: observes; it is enforced in (23 h|1 d)/.test((await rw.cli('status')).stdout);
  await eventually('status says so', isSaid, 20_000);
  expect((await rw.cli('list')).stdout).toMatch(/web\.yaml: observes until \d{4}-/);
  const asked = ['explain', '--from', 'container:web', '--to', 'host', 'tcp/22', '-4'];
  const explained = await rw.cli(...asked);
  expect(explained.stdout).toMatch(/^allow .*[\s\S]*observed, or else: reject/);
  expect((await rw.cli('check')).stdout).toContain('warning: the policy is observed until');
  expect((await rw.cli('preview')).stdout).toContain('nothing');
  expect(passing(await attempts(places, tcp('web', 22, HOST4)))).toHaveLength(1);
  const flow = await openFlow(placeOf(places, 'web'), { protocol: 'tcp', to: HOST4 ?? '', port: 22 });
  expect(await flow.beat()).toBe('alive');
  await rw.writePolicy('containers/web.yaml', policy(inSeconds(6)));
  await eventually('it is enforced', async () => (await rw.cli(...asked)).exitCode === 1, 40_000);
  await eventually('what was open is cut', async () => (await flow.beat()) !== 'alive', 20_000);
  expect(passing(await attempts(places, tcp('web', 22, HOST4)))).toEqual([]);
});
