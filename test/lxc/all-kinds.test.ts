/** Every kind of container on one host: each pair's packets, what explain says of them, and the end. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { readForeignState, readLeftovers } from '../../sandbox/end-state.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { fieldOf, listOf } from '../../sandbox/json.ts';
import type { Place } from '../../sandbox/place.ts';
import { type Outcome, probe, receipts } from '../../sandbox/services.ts';
import { type AllKinds, type Family, PARTIES, type Party, startAllKinds } from './all-kinds.ts';
import { askMany } from './ask-many.ts';
import { SECOND } from './two-uplinks.ts';

const SERVICES = ['tcp/22', 'tcp/80', 'udp/53', 'icmp/echo-request'] as const;

interface Attempt {
  readonly from: Party;
  readonly to: Party;
  readonly service: (typeof SERVICES)[number] | 'tcp/8080';
  readonly family: Family;
}

const titleOf = ({ from, to, service, family }: Attempt): string => `${from} > ${to} ${service} IPv${family}`;

const isOutside = (party: Party): boolean => party === 'first' || party === 'second';

const inBoth = <T>(one: T): (T & { readonly family: Family })[] => [
  { ...one, family: 4 },
  { ...one, family: 6 },
];

/** All but what never meets the host: the outside with itself. */
const ATTEMPTS: readonly Attempt[] = PARTIES.flatMap((from) =>
  PARTIES.filter((to) => to !== from && !(isOutside(from) && isOutside(to))).flatMap((to) => {
    // Where hidden's port is published.
    const services = to === 'host' ? ([...SERVICES, 'tcp/8080'] as const) : SERVICES;
    return services.flatMap((service) => inBoth({ from, to, service }));
  }),
).filter(({ from, to, family }) => family === 4 || ![from, to].includes('leased'));

/** What others wrote; their rules go on counting, and a bridge is up while it has ports. */
const readForeign = async (host: Place): Promise<string> =>
  (await readForeignState(host))
    .replace(/counter packets \d+ bytes \d+/g, 'counter')
    .replace(/ (linkdown|tentative)\b ?/g, ' ')
    .replace(/ +$/gm, '');

describe('all kinds at once', () => {
  let kinds: AllKinds;
  let foreign = '';
  let passed: readonly string[] = [];

  beforeAll(async () => {
    kinds = await startAllKinds(async (host) => {
      foreign = await readForeign(host);
    });
  }, 120_000);
  afterAll(cleanUp);

  it('are listed as what they are', async () => {
    const listed: unknown = JSON.parse((await kinds.rw.cli('list', '--json')).stdout);
    const found = listOf(listed).map((entry) => [
      fieldOf(entry, 'container'),
      ...listOf(fieldOf(entry, 'nics')).map((one) => fieldOf(one, 'kind')),
    ]);
    expect(found).toEqual([
      ['away', 'routed'],
      ['fixed', 'bridged'],
      ['hidden', 'routed'],
      ['leased', 'bridged'],
      ['r1', 'routed', 'wired'],
      ['r2', 'routed', 'wired'],
      ['routed', 'routed'],
    ]);
  });

  it("meet each other, the host and both outsides as explain says, others' rules and all", async () => {
    const found = await inTurns(ATTEMPTS, 120, async (one) => [titleOf(one), await attempt(kinds, one)] as const);
    passed = found.flatMap(([title, outcome]) => (outcome === 'allowed' ? [title] : []));
    const answers = await askMany(
      kinds.rw,
      ATTEMPTS.map((one) => questionOf(kinds, one)),
    );
    const said = ATTEMPTS.map((one, index) => [titleOf(one), outcomeOf(one, answers[index]?.stdout ?? '')]);
    expect(found).toEqual(said);
  });

  it.each([
    ['a routed one, from everywhere', ['first > routed tcp/80 IPv4', 'leased > routed tcp/22 IPv4']],
    ['one on a bridge, and one with a lease', ['first > fixed tcp/80 IPv4', 'leased > fixed tcp/22 IPv4']],
    ['a masqueraded one', ['hidden > first tcp/22 IPv6', 'hidden > second tcp/80 IPv4', 'hidden > fixed tcp/22 IPv6']],
    ['its published port', ['first > host tcp/8080 IPv4', 'fixed > host tcp/8080 IPv6']],
    ['one on the second uplink', ['second > away tcp/22 IPv6', 'first > away tcp/22 IPv4', 'away > first tcp/80 IPv4']],
    ['past rules of others that are about IPv4', ['first > fixed tcp/22 IPv6', 'away > first tcp/22 IPv6']],
  ])('reaches, and is reached: %s', (_title, titles) => {
    expect(passed).toEqual(expect.arrayContaining(titles));
  });

  it.each([
    ["ufw's policy", ['fixed > host udp/53 IPv4', 'leased > host udp/53 IPv4', 'fixed > host udp/53 IPv6']],
    ["Docker's policy", ['first > fixed tcp/22 IPv4', 'second > leased tcp/22 IPv4']],
    ['a rule of its administrator', ['away > first tcp/22 IPv4', 'hidden > second tcp/22 IPv4']],
  ])('is dropped by %s', (_title, titles) => {
    for (const title of titles) expect(passed).not.toContain(title);
  });

  it('leaves by its own uplink, and as who it is where nobody hides it', async () => {
    const [first, second, fixed] = await Promise.all(
      (['first', 'second', 'fixed'] as const).map(async (party) =>
        (await receipts(kinds.place(party))).map(({ from }) => from),
      ),
    );
    const [away, hidden] = (['away', 'hidden'] as const).map((party) => kinds.address(party, 4));
    expect(second).toContain(away);
    expect(first).not.toContain(away);
    expect(first).toContain(kinds.address('host', 4));
    expect(second).toContain(SECOND.host[0].replace(/\/.*/, ''));
    for (const heard of [first, second]) expect(heard).not.toContain(hidden);
    expect(fixed).toContain(hidden);
    // By its address behind r2 and the wire, which no policy knows.
    await kinds.place('r1').run('ping', ['-c', '1', '-W', '2', '-I', 'eth1', '203.0.113.13']);
  });

  it('is diagnosed by the doctor, whose line for a bridge lets pass what Docker drops there', async () => {
    const { rw } = kinds;
    const diagnosed = async (): Promise<readonly unknown[]> => {
      const findings: unknown = JSON.parse((await rw.cli('doctor', '--json', '-n', 'fixed')).stdout);
      return listOf(findings).filter((finding) => String(fieldOf(finding, 'message')).includes(' to fixed'));
    };
    const [found, ...more] = await diagnosed();
    expect([fieldOf(found, 'message'), more]).toEqual([
      "chain FORWARD of table ip filter drops tcp/22 to fixed, which its policy allows: by that chain's default (policy drop)",
      [],
    ]);
    const mend = String(fieldOf(found, 'mend'));
    expect(mend).toBe('iptables -I DOCKER-USER -i br0 -j ACCEPT && iptables -I DOCKER-USER -o br0 -j ACCEPT');
    await rw.bed.host.run('sh', ['-c', mend]);
    const ssh = { from: 'first', to: 'fixed', service: 'tcp/22', family: 4 } as const;
    expect([await attempt(kinds, ssh), await diagnosed()]).toEqual(['allowed', []]);
    await rw.bed.host.run('sh', ['-c', mend.replaceAll('-I', '-D')]);
  });

  it('leave nothing after the last stop, and all that others wrote', async () => {
    const { host } = kinds.rw.bed;
    for (const container of kinds.containers) await kinds.rw.stop(container);
    await eventually('nothing is left', async () => (await readLeftovers(host)).length === 0, 20_000);
    expect(await readForeign(host)).toBe(foreign);
  }, 60_000);
});

/** The second outside and the host know each other by their link alone. */
function endsOf(kinds: AllKinds, { from, to, family }: Attempt): { readonly source: string; readonly to: string } {
  const [source, target] = [kinds.address(from, family), kinds.address(to, family)];
  if (source === undefined || target === undefined) throw new Error(`${from} > ${to}: no address in IPv${family}`);
  const onSecond = SECOND.host[family === 4 ? 0 : 1].replace(/\/.*/, '');
  if (from === 'host' && to === 'second') return { source: onSecond, to: target };
  return { source, to: from === 'second' && to === 'host' ? onSecond : target };
}

async function attempt(kinds: AllKinds, one: Attempt): Promise<Outcome> {
  const [protocol, port] = one.service.split('/');
  const target = { ...endsOf(kinds, one), timeout: 1_500 };
  const place = kinds.place(one.from);
  if (protocol === 'tcp' || protocol === 'udp') return await probe(place, { ...target, protocol, port: Number(port) });
  return await probe(place, { ...target, protocol: 'icmp' });
}

function questionOf(kinds: AllKinds, one: Attempt): string[] {
  const { from, to, service, family } = one;
  const ends = endsOf(kinds, one);
  const named = (party: Party, address: string): string =>
    isOutside(party) || party === 'host' ? address : `container:${party}`;
  const words = ['--from', named(from, ends.source), '--to', named(to, ends.to)];
  return ['explain', ...words, service, `-${family}`, '--json'];
}

/** A datagram that the host's own output chain drops fails in the sender's system call (EPERM), which isn't silence. */
function outcomeOf({ from, service }: Attempt, text: string): string {
  const answer: unknown = JSON.parse(text);
  const drops = fieldOf(answer, 'foreign') ?? [];
  const isDropped = listOf(drops).some((drop) => fieldOf(drop, 'sure') === true);
  switch (fieldOf(answer, 'verdict')) {
    case 'allow':
      return isDropped ? 'dropped' : 'allowed';
    case 'reject':
      return 'refused';
    default:
      return from === 'host' && service.startsWith('udp/') ? 'refused' : 'dropped';
  }
}

/** In order, so many at once. */
async function inTurns<T, R>(items: readonly T[], atOnce: number, step: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let next = 0; next < items.length; next += atOnce)
    results.push(...(await Promise.all(items.slice(next, next + atOnce).map(step))));
  return results;
}
