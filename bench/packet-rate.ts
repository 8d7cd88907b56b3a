/**
 * What a packet costs on its way sender → router → receiver, in namespaces joined by veths, under routewall's ruleset of
 * 10 to 10,000 containers and under what users would pick instead. All variants exist at once and take turns batch by
 * batch, so what disturbs the machine disturbs all alike. Needs root and gcc. `node scripts/bench.mjs packet-rate [ROUNDS]`
 */
import { join } from 'node:path';
import { createAssembler } from '../controller/pass/assemble.ts';
import { defaultConfig } from '../policies/config.ts';
import { renderDesired } from '../render/nft.ts';
import { EMPTY_RULESET } from '../render/ruleset.ts';
import { diffRulesets } from '../render/transaction.ts';
import type { Child } from '../sandbox/child.ts';
import { cleanUp, makeFolder } from '../sandbox/clean-up.ts';
import { createNamespace, type Namespace, setSysctls } from '../sandbox/namespace.ts';
import { run } from '../sandbox/run.ts';
import { createWire, runIp } from '../sandbox/wire.ts';
import { peerRulesets } from './peer-rulesets.ts';
import { median, quantile, report, spread } from './report.ts';
import { addressesOf, inputsOf, nameOf, vethOf } from './synthetic.ts';

const rounds = Number(process.argv[2] ?? 40);
const SERVER = '203.0.113.80';
/** Of the same machine, for flows that are to be forgotten without the others. */
const MANY = '203.0.113.81';
const ALLOWED = 7000;
const FORBIDDEN = 9999;
const [SOURCE = ''] = addressesOf(0);
const FOREIGN = '198.19.255.254';

/** Ten rules, of which the last one lets the measured packets out; `own` makes it different from all others. */
const policyOf = (own: number, log: boolean): string => {
  const ports = [22, 25, 53, 80, 110, 143, 443, 993].map((port) => `    - allow: tcp/${port}\n      to: internet\n`);
  const last = `    - allow: [udp/${ALLOWED}, tcp/${ALLOWED}]\n      to: any\n      log: ${log}\n`;
  return `egress:\n  log: ${log}\n  rules:\n${ports.join('')}    - allow: udp/${20_000 + own}\n      to: any\n${last}`;
};

/** The bound on connections as it is, with a rate that the bench doesn't reach: it opens more in a second than one may. */
const config = { ...defaultConfig, connections: { ...defaultConfig.connections, rate: '1000000/second' } };

/** As much of nft's text as `nft -f` loads. */
function routewallRuleset(containers: number, policies: number, log = false): string {
  const inputs = inputsOf(containers, (index) => policyOf(index % policies, log));
  const { desired } = createAssembler().assemble({ ...inputs, config });
  return `${diffRulesets(EMPTY_RULESET, renderDesired(desired, nameOf)).join('\n')}\n`;
}

interface Variant {
  readonly name: string;
  readonly load: (router: Namespace) => Promise<void>;
}

const nft =
  (text: string): Variant['load'] =>
  async (router) =>
    void (await router.run('nft', ['-f', '-'], { input: text, timeout: 300_000 }));

const iptables =
  (text: string): Variant['load'] =>
  async (router) =>
    void (await router.run('iptables-restore', [], { input: text, timeout: 300_000 }));

const scale = (containers: number, policies: number): Variant => ({
  name: `routewall, ${containers.toLocaleString('en')} containers, ${policies.toLocaleString('en')} policies`,
  load: nft(routewallRuleset(containers, policies)),
});

const peers = peerRulesets({
  containers: 1000,
  allowed: ALLOWED,
  addressOf: (index) => addressesOf(index)[0] ?? '',
  vethOf,
});

const variants: readonly Variant[] = [
  { name: 'no rules', load: async () => undefined },
  { name: 'connection tracking alone', load: nft(peers.tracking) },
  { name: 'an equal ruleset for one container', load: nft(peers.equal) },
  scale(10, 10),
  scale(100, 10),
  scale(1_000, 10),
  scale(10_000, 10),
  scale(1_000, 1_000),
  scale(10_000, 1_000),
  { name: 'routewall, 10 containers, with log', load: nft(routewallRuleset(10, 10, true)) },
  { name: 'a base chain for each of 1,000', load: nft(peers.baseChains) },
  { name: 'a list of jumps for each of 1,000', load: nft(peers.jumps) },
  { name: 'iptables, a jump for each of 1,000', load: iptables(peers.iptables) },
];

/**
 * What is sent, and how much of it in one batch; `before`: how many flows of the same kind are open by then, and none but
 * those, since a bound on the connections of a container looks at all that it has.
 */
const KINDS = [
  { name: 'established', mode: 'udp', source: SOURCE, port: ALLOWED, batch: 4_000 },
  { name: 'unanswered', mode: 'oneway', source: SOURCE, port: ALLOWED, batch: 4_000 },
  { name: 'new flow', mode: 'flows', source: SOURCE, port: ALLOWED, batch: 400, before: 40 },
  { name: 'among 4,000', mode: 'flows', source: SOURCE, port: ALLOWED, batch: 400, before: 4_000 },
  { name: 'TCP round trip', mode: 'ask', source: SOURCE, port: ALLOWED, batch: 200 },
  { name: 'TCP bulk, 64 KiB', mode: 'bulk', source: SOURCE, port: ALLOWED, batch: 60 },
  { name: 'forbidden', mode: 'udp', source: SOURCE, port: FORBIDDEN, batch: 4_000 },
  { name: 'spoofed', mode: 'udp', source: FOREIGN, port: ALLOWED, batch: 4_000 },
] as const;

interface Bed {
  readonly variant: Variant;
  readonly router: Namespace;
  readonly senders: readonly Child[];
  /** By kind, nanoseconds of each batch's packet. */
  readonly costs: readonly number[][];
}

/** The receivers' map must not know where packets leave, so the wire to the server is no container's. */
async function createBed(variant: Variant, program: string): Promise<Bed> {
  const [inside, router, outside] = [
    await createNamespace('in'),
    await createNamespace('router'),
    await createNamespace('out'),
  ];
  await setSysctls(router, { 'net/ipv4/ip_forward': '1' });
  await createWire(
    { namespace: inside, name: 'eth0', addresses: [`${SOURCE}/32`] },
    { namespace: router, name: vethOf(0), addresses: ['169.254.0.1/32'] },
  );
  await createWire(
    { namespace: router, name: 'eth0', addresses: ['192.0.2.1/24'] },
    { namespace: outside, name: 'eth0', addresses: ['192.0.2.254/24', `${SERVER}/32`, `${MANY}/32`] },
  );
  await runIp(inside, ['route add 169.254.0.1 dev eth0', 'route add default via 169.254.0.1']);
  await runIp(router, [`route add ${SOURCE} dev ${vethOf(0)}`, 'route add default via 192.0.2.254']);
  await runIp(outside, ['route add default via 192.0.2.1']);
  await variant.load(router);
  const pinned = (where: Namespace, words: readonly string[]): Child =>
    where.spawn('taskset', ['-c', '1', program, ...words]);
  const servers = [
    pinned(outside, ['sink', SERVER, String(ALLOWED)]),
    pinned(outside, ['sink', SERVER, String(FORBIDDEN)]),
    pinned(outside, ['sink', MANY, String(ALLOWED)]),
    pinned(outside, ['echo', String(ALLOWED)]),
  ];
  await Promise.all(servers.map((server) => server.waitForLine(/ready/)));
  // The first one is what the sink answers.
  const senders: Child[] = [];
  for (const { mode, source, port } of KINDS) {
    const sender = pinned(inside, [mode, source, mode === 'flows' ? MANY : SERVER, String(port)]);
    await sender.waitForLine(/ready/);
    senders.push(sender);
  }
  await senders[0]?.waitForLine(/answered/, { timeout: 100 });
  return { variant, router, senders, costs: KINDS.map(() => []) };
}

/** Where a packet costs a hundred times as much, a tenth of them tells as well, in a tenth of the time. */
const partOf = ({ variant }: Bed, count: number): number =>
  Math.ceil(count / (variant.name.endsWith('each of 1,000') ? 10 : 1));

const batchOf = (bed: Bed, kind: number): number => partOf(bed, KINDS[kind]?.batch ?? 0);

async function openBefore(bed: Bed, kind: number): Promise<void> {
  const { before } = { before: 0, ...KINDS[kind] };
  if (before === 0) return;
  // It fails where there is none.
  await bed.router.runForResult('conntrack', ['-D', '-d', MANY]);
  await sendCounted(bed, kind, partOf(bed, before));
}

/** @returns the nanoseconds that all of them took. */
async function sendCounted({ senders }: Bed, kind: number, count: number): Promise<number> {
  const sender = senders[kind];
  if (sender === undefined) throw new Error('no such sender');
  const after = sender.lines.length;
  sender.write(`${count}\n`);
  const line = await sender.waitForLine(/^\d+ \d+$/, { after });
  return Number(line.split(' ')[0]);
}

async function sendBatch(bed: Bed, kind: number): Promise<void> {
  const batch = batchOf(bed, kind);
  bed.costs[kind]?.push((await sendCounted(bed, kind, batch)) / batch);
}

/** What came through, by the device that it came out of: the figures are worth nothing for a packet that went elsewhere. */
async function forwarded({ router }: Bed): Promise<number> {
  const { stdout } = await router.run('cat', ['/sys/class/net/eth0/statistics/tx_packets']);
  return Number(stdout);
}

async function checkPaths(bed: Bed): Promise<void> {
  for (const [kind, { name, mode, port, source }] of KINDS.entries()) {
    const batch = batchOf(bed, kind);
    if (mode === 'ask' || mode === 'bulk') continue;
    await openBefore(bed, kind);
    const before = await forwarded(bed);
    await sendBatch(bed, kind);
    const passed = (await forwarded(bed)) - before;
    const open = bed.variant.name === 'no rules' || bed.variant.name === 'connection tracking alone';
    const expected = open || (port === ALLOWED && source === SOURCE) ? batch : 0;
    if (Math.abs(passed - expected) > batch / 20)
      throw new Error(`${bed.variant.name}: ${passed} of ${batch} passed: ${name}`);
  }
}

try {
  const folder = await makeFolder();
  const program = join(folder, 'packets');
  await run('gcc', ['-O2', '-o', program, 'bench/packets.c']);
  const beds: Bed[] = [];
  for (const variant of variants) beds.push(await createBed(variant, program));
  for (const bed of beds) await checkPaths(bed);
  for (const bed of beds) for (const costs of bed.costs) costs.length = 0;
  for (let round = 0; round < rounds; round += 1)
    for (const kind of KINDS.keys())
      for (const bed of beds) {
        await openBefore(bed, kind);
        await sendBatch(bed, kind);
      }
  const [, , , base] = beds;
  // The best tenth: what a batch costs that nothing else disturbed.
  const costOf = (bed: Bed | undefined, kind: number): number => quantile(bed?.costs[kind] ?? [], 0.1);
  const cell = (bed: Bed, kind: number): string => {
    const cost = costOf(bed, kind);
    return `${cost.toFixed(0)} (${((100 * costOf(base, kind)) / cost).toFixed(0)} %)`;
  };
  const medians = (bed: Bed): string[] =>
    bed.costs.slice(0, 1).map((costs) => `${median(costs).toFixed(0)} ${spread(costs)}`);
  const curve = (kind: number, pick: RegExp): (readonly [number, number])[] =>
    beds.flatMap((bed) => {
      const [, count] = pick.exec(bed.variant.name) ?? [];
      return count === undefined ? [] : [[Number(count.replaceAll(',', '')), costOf(bed, kind)] as const];
    });
  await report('packet-rate', {
    title: 'Cost of a packet',
    about: `Nanoseconds from the send call to the receiver's queue or to the drop, sender and receiver included: the fastest tenth of ${rounds} batches (in brackets: the rate in percent of routewall's with 10 containers); last, the median of established packets with its spread. An IPv4 packet of 18 bytes: of a flow that was answered, of one that never is, and each of a flow of its own, with few of the container's open and among 4,000; a byte there and back over TCP; 64 KiB written over TCP; a port that no rule allows; a source that is not the container's.`,
    command: `node scripts/bench.mjs packet-rate ${rounds}`,
    columns: ['', ...KINDS.map(({ name }) => name), 'established, median'],
    rows: beds.map((bed) => [bed.variant.name, ...KINDS.map((_, kind) => cell(bed, kind)), ...medians(bed)]),
    curves: [
      {
        name: 'packet-rate',
        title: 'Cost of a packet by number of containers',
        x: 'containers',
        y: 'nanoseconds',
        lines: ['established', 'unanswered', 'forbidden', 'spoofed'].map((label) => ({
          label,
          points: curve(
            KINDS.findIndex(({ name }) => name === label),
            /^routewall, ([\d,]+) containers, 10 policies$/,
          ),
        })),
      },
    ],
  });
} finally {
  await cleanUp();
}
