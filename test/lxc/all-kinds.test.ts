/** One host with routed, masqueraded and wired containers, beside rules as Docker and ufw write them: every pair, and explain. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { readForeignState, readLeftovers } from '../../sandbox/end-state.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { HOST_ADDRESSES, INTERNET } from '../../sandbox/host.ts';
import type { Place } from '../../sandbox/place.ts';
import { listen, type Outcome, probe, receipts } from '../../sandbox/services.ts';
import { addressesOf, nic, type Routewall, startRoutewall } from './routewall.ts';

/** With the line that the doctor gives for Docker's policy. */
const FOREIGN = [
  ['-N', 'DOCKER-USER'],
  ['-N', 'DOCKER'],
  ['-A', 'DOCKER-USER', '-j', 'RETURN'],
  ['-A', 'FORWARD', '-i', 'veth+', '-j', 'ACCEPT'],
  ['-A', 'FORWARD', '-o', 'veth+', '-j', 'ACCEPT'],
  ['-A', 'FORWARD', '-j', 'DOCKER-USER'],
  ['-A', 'FORWARD', '-o', 'docker0', '-j', 'DOCKER'],
  ['-P', 'FORWARD', 'DROP'],
  ['-N', 'ufw-before-input'],
  ['-N', 'ufw-user-input'],
  ['-A', 'ufw-before-input', '-i', 'lo', '-j', 'ACCEPT'],
  ['-A', 'ufw-before-input', '-m', 'conntrack', '--ctstate', 'RELATED,ESTABLISHED', '-j', 'ACCEPT'],
  ['-A', 'ufw-before-input', '-m', 'conntrack', '--ctstate', 'INVALID', '-j', 'DROP'],
  ['-A', 'ufw-before-input', '-j', 'ufw-user-input'],
  ['-A', 'ufw-user-input', '-p', 'tcp', '-m', 'multiport', '--dports', '22,80', '-j', 'ACCEPT'],
  ['-A', 'INPUT', '-j', 'ufw-before-input'],
  ['-P', 'INPUT', 'DROP'],
] as const;

const POLICIES = {
  routed: `
egress: { rules: [{ allow: tcp/80, to: any }] }
ingress: { rules: [{ allow: tcp/80, from: any }, { allow: ssh, from: host }] }
`,
  hidden: `
masquerade: true
egress: { rules: [{ allow: [tcp/80, ssh], to: [internet, "container:routed"] }] }
ingress: { rules: [{ allow: ssh, from: "container:r1" }] }
`,
  r1: 'egress: { default: allow }\nlimits: { egress: 50mbit, ingress: 50mbit }\n',
  r2: 'ingress: { default: allow }\n',
} as const;
type Name = keyof typeof POLICIES;
const NAMES = Object.keys(POLICIES) as readonly Name[];
const LAST: Readonly<Record<Name, number>> = { routed: 10, hidden: 11, r1: 12, r2: 13 };
const PARTIES = ['outside', 'host', ...NAMES] as const;
type Party = (typeof PARTIES)[number];

const PORTS = [22, 80] as const;
const FAMILIES = [4, 6] as const;

function addressOf(party: Party, family: (typeof FAMILIES)[number]): string {
  const index = family === 4 ? 0 : 1;
  if (party === 'outside') return INTERNET[index];
  if (party === 'host') return HOST_ADDRESSES[index].replace(/\/.*/, '');
  return addressesOf(LAST[party])[index];
}

/** What others wrote; their rules go on counting. */
const readForeign = async (host: Place): Promise<string> =>
  (await readForeignState(host)).replace(/counter packets \d+ bytes \d+/g, 'counter');

const isWired = (name: string): boolean => name === 'r1' || name === 'r2';
const wired = (last: number): string[] =>
  ['type = veth', 'flags = up', 'name = eth1', `ipv4.address = 203.0.113.${last}/28`].map(
    (line) => `lxc.net.1.${line}`,
  );

describe('several kinds at once', () => {
  let routewall: Routewall;
  let foreign = '';
  const containers: Container[] = [];
  const places = new Map<string, Place>();

  beforeAll(async () => {
    routewall = await startRoutewall({
      config: 'wires: [{ a: "container:r1/eth1", b: "container:r2/eth1" }]\n',
      policies: Object.fromEntries(NAMES.map((name) => [`containers/${name}.yaml`, POLICIES[name]])),
      prepare: async ({ host }) => {
        for (const words of FOREIGN) await host.run('iptables-nft', words);
      },
    });
    foreign = await readForeign(routewall.bed.host);
    places.set('outside', routewall.bed.outside).set('host', routewall.bed.host);
    for (const name of NAMES) {
      const lines = [...nic(addressesOf(LAST[name])), ...(isWired(name) ? wired(LAST[name]) : [])];
      const container = await routewall.addContainer(name, { lines });
      await routewall.start(container);
      places.set(name, await container.inside());
      containers.push(container);
    }
    for (const place of places.values())
      await listen(place, ...PORTS.map((port) => ({ protocol: 'tcp' as const, port })));
    const isUp = async () => /container:r1.* up/.test((await routewall.cli('status')).stdout);
    await eventually('the wire is up', isUp, 20_000);
  }, 120_000);
  afterAll(cleanUp);

  const place = (party: Party): Place => {
    const found = places.get(party);
    if (found === undefined) throw new Error(`no place ${party}`);
    return found;
  };

  it('treats every pair as explain says', async () => {
    const pairs = PARTIES.flatMap((from) => PARTIES.filter((to) => to !== from).map((to) => ({ from, to })));
    const attempts = pairs
      .filter(({ from, to }) => !(from === 'outside' && to === 'host') && !(from === 'host' && to === 'outside'))
      .flatMap((pair) => PORTS.flatMap((port) => FAMILIES.map((family) => ({ ...pair, port, family }))));
    const found = await Promise.all(
      attempts.map(async ({ from, to, port, family }): Promise<[string, Outcome]> => {
        const target = { to: addressOf(to, family), source: addressOf(from, family), port, timeout: 1500 };
        return [`${from} > ${to} tcp/${port} IPv${family}`, await probe(place(from), { protocol: 'tcp', ...target })];
      }),
    );
    const said: [string, string][] = [];
    for (const { from, to, port, family } of attempts) {
      const peer = (party: Party): string =>
        party === 'host' ? 'host' : party === 'outside' ? addressOf(party, family) : `container:${party}`;
      const words = ['--from', peer(from), '--to', peer(to), `tcp/${port}`, `-${family}`, '--json'];
      const { stdout } = await routewall.cli('explain', ...words);
      const verdict: unknown = Reflect.get(JSON.parse(stdout), 'verdict');
      said.push([`${from} > ${to} tcp/${port} IPv${family}`, verdict === 'allow' ? 'allowed' : 'dropped']);
    }
    expect(found).toEqual(said);
    const passed = found.filter(([, outcome]) => outcome === 'allowed').map(([title]) => title);
    for (const known of ['outside > routed tcp/80 IPv4', 'hidden > outside tcp/22 IPv6', 'r1 > hidden tcp/22 IPv4'])
      expect(passed).toContain(known);
    expect(passed).not.toContain('outside > hidden tcp/22 IPv4');
  }, 180_000);

  it('hides who is masqueraded, and joins the routers past all rules', async () => {
    const heard = (await receipts(routewall.bed.outside)).map(({ from }) => from);
    expect(heard).toContain(addressOf('host', 4));
    expect(heard).not.toContain(addressOf('hidden', 4));
    // By its address behind r2 and the wire, which no policy knows.
    await place('r1').run('ping', ['-c', '1', '-W', '2', '-I', 'eth1', '203.0.113.13']);
  });

  it('leaves nothing after the last stop, and all that others wrote', async () => {
    for (const container of containers) await routewall.stop(container);
    await eventually('nothing is left', async () => (await readLeftovers(routewall.bed.host)).length === 0, 20_000);
    expect(await readForeign(routewall.bed.host)).toBe(foreign);
  }, 60_000);
});
