/** What the rules count of refused and of observed packets, by whom it can be filled, and that a full set opens nothing. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { nameOf } from '../../controller/apply/apply.ts';
import { readCounted } from '../../controller/denials/counted-packets.ts';
import { DENIED } from '../../controller/denials/denials.ts';
import { parseInterfacePattern } from '../../render/names.ts';
import { renderDesired } from '../../render/nft.ts';
import { renderRuleset } from '../../render/ruleset.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { createNamespace, type Namespace } from '../../sandbox/namespace.ts';
import { createWire, runIp } from '../../sandbox/wire.ts';
import { certain, nicOf, stateOf } from '../controller/states.ts';
import { runIn } from './namespace-commands.ts';

/** Sees what got through all of our rules to the host itself. */
const WITNESS = `table inet witness {
  counter passed { }
  chain input { type filter hook input priority 300; ip daddr 192.0.2.1 counter name passed; }
}`;

let host: Namespace;
let inside: Namespace[];

/** Containers 1 and 2 are claimed; 3 has an interface of the same kind that nobody claims. */
beforeEach(async () => {
  host = await createNamespace('host');
  await runIp(host, ['address add 192.0.2.1/32 dev lo', 'address add 2001:db8::1/128 dev lo nodad']);
  await host.run('nft', ['-f', '-'], { input: `${ruleset()}${WITNESS}\n` });
  inside = await Promise.all([1, 2, 3].map(addContainer));
});
afterEach(cleanUp);

/** `until`: container 1 is observed, in seconds since 1970. */
function ruleset(until?: number): string {
  const first = nicOf(1, 80);
  const observe = until === undefined ? {} : { observe: { until, origin: { file: 'c1.yaml', line: 1 } } };
  const base = stateOf({ ...first, egress: { ...first.egress, ...observe } }, nicOf(2, 80));
  const state = { ...base, host: { ...base.host, guardPatterns: [certain(parseInterfacePattern('veth*'))] } };
  return renderRuleset(renderDesired(state, nameOf));
}

async function addContainer(number: number): Promise<Namespace> {
  const container = await createNamespace(`c${number}`);
  await createWire(
    { namespace: host, name: `veth${number}`, addresses: ['169.254.0.1/32'] },
    { namespace: container, name: 'eth0', addresses: [`198.51.100.${number}/32`] },
  );
  await runIp(host, [`route add 198.51.100.${number}/32 dev veth${number}`]);
  await runIp(container, ['route add 169.254.0.1/32 dev eth0', 'route add default via 169.254.0.1 dev eth0']);
  return container;
}

/** By Python, which sends 65,000 datagrams a second. */
const send = async (from: Namespace | undefined, ...lines: readonly string[]): Promise<void> => {
  const head = 'import socket, struct, time\nudp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)';
  await certain(from).run('/usr/bin/python3', ['-'], { input: [head, ...lines, ''].join('\n') });
};

const udp = (first: number, last = first): string =>
  `for port in range(${first}, ${last + 1}): udp.sendto(b"x", ("192.0.2.1", port))`;

/** Of IPv4: the stack's own first words on a link are IPv6. */
async function counted(veth: string): Promise<string[]> {
  const elements = await readCounted(runIn(host), DENIED);
  return elements
    .filter((element) => element.whose === veth && !element.peer.includes(':'))
    .map(({ by, peer, protocol, port, packets }) => `${by} ${peer} ${protocol} ${port}: ${packets}`)
    .sort();
}

async function passed(): Promise<number> {
  const { stdout } = await host.run('nft', ['list', 'counter', 'inet', 'witness', 'passed']);
  return Number(/packets (\d+)/.exec(stdout)?.[1]);
}

const RAW = 'raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)';
const header = (source: string, protocol: number, payload: string): string =>
  `raw.sendto(struct.pack("!BBHHHBBH4s4s", 69, 0, 0, 1, 0, 64, ${protocol}, 0, ` +
  `socket.inet_aton("${source}"), socket.inet_aton("192.0.2.1")) + ${payload}, ("192.0.2.1", 0))`;

it('tells ports, ICMP types and bare protocols apart, and counts each again', async () => {
  const echo = 'b"\\x08\\x00\\xf7\\xfd\\x00\\x01\\x00\\x01"';
  const timestamp = 'b"\\x0d\\x00" + bytes(18)';
  await send(inside[0], udp(53), udp(53), RAW, header('198.51.100.1', 1, echo), header('198.51.100.1', 1, timestamp));
  await send(
    inside[0],
    RAW,
    header('198.51.100.1', 47, 'bytes(8)'),
    header('198.51.100.1', 6, 'bytes(13) + b"\\x02" + bytes(6)'),
  );
  expect(await counted('veth1')).toEqual([
    'egress 192.0.2.1 1 2048: 1',
    'egress 192.0.2.1 1 3328: 1',
    'egress 192.0.2.1 17 53: 2',
    'egress 192.0.2.1 47 0: 1',
    'egress 192.0.2.1 6 0: 1',
  ]);
  expect(await passed()).toBe(0);
});

it('counts a container under the address that it took, and an interface that nobody claims', async () => {
  await send(inside[0], RAW, header('198.51.100.2', 17, 'struct.pack("!HHHH", 7, 53, 8, 0)'));
  // It gets no answer to its ARP either.
  const { stdout } = await host.run('cat', ['/sys/class/net/veth3/address']);
  await runIp(certain(inside[2]), [`neigh replace 169.254.0.1 lladdr ${stdout.trim()} dev eth0`]);
  await send(inside[2], udp(53));
  expect(await counted('veth1')).toEqual(['spoof 198.51.100.2 17 53: 1']);
  expect(await counted('veth3')).toEqual(['guard 198.51.100.3 17 53: 1']);
  expect(await passed()).toBe(0);
});

it("holds the last packet's age", async () => {
  await send(inside[0], udp(53), 'time.sleep(2)', udp(54), 'time.sleep(2)', udp(54));
  const ages = new Map((await readCounted(runIn(host), DENIED)).map(({ port, age }) => [port, age]));
  expect(certain(ages.get(53)) - certain(ages.get(54))).toBeGreaterThan(3900);
});

it("keeps a container that tries every port from filling the set: the others' refusals are there", async () => {
  // While its neighbour isn't known, no more than some hundred of them wait.
  await send(inside[0], udp(1));
  await eventually('the first is there', async () => (await counted('veth1')).includes('egress 192.0.2.1 17 1: 1'));
  await send(inside[0], udp(2, 65_535));
  await send(inside[1], udp(53));
  const mine = await counted('veth1');
  expect(mine.length).toBeGreaterThanOrEqual(1000);
  // Room comes back at 1,000 an hour.
  expect(mine.length).toBeLessThan(1100);
  expect(await counted('veth2')).toEqual(['egress 192.0.2.1 17 53: 1']);
  // What is known of it goes on being counted.
  await send(inside[0], udp(1));
  expect(await counted('veth1')).toContain('egress 192.0.2.1 17 1: 2');
  expect(await passed()).toBe(0);
  // As a control, that it would fill the set else.
  const unbounded = 'update @refused_egress4 { iifname . ip daddr . meta l4proto . th dport }';
  const rules = `flush chain inet routewall egress_note\nadd rule inet routewall egress_note ${unbounded}\n`;
  await host.run('nft', ['-f', '-'], { input: rules });
  // A busy machine loses some.
  const isFull = async (): Promise<boolean> => (await counted('veth1')).length >= 65_534;
  for (let last = 1; last <= 12 && !(await isFull()); last += 1)
    await send(inside[0], udp(1, 65_535).replace('192.0.2.1', `192.0.2.${last}`));
  await send(inside[1], udp(54));
  expect(await counted('veth2')).toEqual(['egress 192.0.2.1 17 53: 1']);
});

it('refuses what a full set has no place for', async () => {
  // The same rules with small sets: to fill the real ones takes many seconds.
  await loadAnew(ruleset().replaceAll('size 65535', 'size 2'));
  await send(inside[0], udp(1, 2));
  await send(inside[1], udp(53));
  expect(await counted('veth1')).toHaveLength(2);
  expect(await counted('veth2')).toEqual([]);
  expect(await passed()).toBe(0);
  // As a control, that the witness sees what passes.
  await host.run('nft', ['flush', 'chain', 'inet', 'routewall', 'egress_drop']);
  await send(inside[0], udp(53));
  expect(await passed()).toBe(1);
});

const loadAnew = (text: string) =>
  host.run('nft', ['-f', '-'], { input: `delete table inet routewall\ndelete table arp routewall\n${text}` });

const observed = async (): Promise<string[]> =>
  (await readCounted(runIn(host), [{ as: 'observed', by: 'egress' }]))
    .map(({ whose, peer, protocol, port, packets }) => `${whose} ${peer} ${protocol} ${port}: ${packets}`)
    .sort();

it('what is observed passes and is recorded by address, until the kernel itself ends it; spoofing never passes', async () => {
  const until = Math.floor(Date.now() / 1000) + 6;
  await loadAnew(ruleset(until));
  await send(
    inside[0],
    udp(53),
    udp(54),
    udp(54),
    RAW,
    header('198.51.100.2', 17, 'struct.pack("!HHHH", 7, 53, 8, 0)'),
  );
  await send(inside[1], udp(53));
  expect(await observed()).toEqual(['198.51.100.1 192.0.2.1 17 53: 1', '198.51.100.1 192.0.2.1 17 54: 2']);
  expect(await counted('veth1')).toEqual(['spoof 198.51.100.2 17 53: 1']);
  expect(await passed()).toBe(3);
  await new Promise((resolve) => setTimeout(resolve, until * 1000 + 1000 - Date.now()));
  await send(inside[0], udp(55));
  expect(await counted('veth1')).toContain('egress 192.0.2.1 17 55: 1');
  expect(await passed()).toBe(3);
  expect(await observed()).toHaveLength(2);
});

it('an observed container that tries every port leaves room for the next one', async () => {
  await loadAnew(ruleset(4_000_000_000));
  await send(inside[0], udp(1, 65_535));
  const records = await observed();
  expect(records.length).toBeGreaterThanOrEqual(1000);
  expect(records.length).toBeLessThan(2100);
});
