/**
 * From an event to rules in force: real containers, the real daemon, and 0, 1,000 and 10,000 others that run beside
 * them (configurations, policies and veths that exist; no processes), with and without the start hook, and with a veth whose
 * name the configuration fixes. Beside it, in the same run, what nft and ip take by fork for the same change, and a hook that
 * runs one `ip` for each thing, as lxc-routednet does. Prints a table; needs root.
 * `node scripts/bench.mjs event-time [OTHERS,OTHERS…] [ROUNDS]`
 */
import { cleanUp } from '../sandbox/clean-up.ts';
import type { Container } from '../sandbox/container.ts';
import { nic, type Routewall, startRoutewall } from '../test/lxc/routewall.ts';
import { asPackaged } from './as-packaged.ts';
import { makeTwin, timeByHand, timed } from './by-hand.ts';
import { timeOf, untilIdle } from './idling.ts';
import { makeOthers, policyOf } from './others.ts';
import { plainHook } from './plain-hook.ts';
import { quantile, report } from './report.ts';
import { type StartWatch, untilCleared, watchStarts } from './start-watch.ts';

const counts = (process.argv[2] ?? '0,1000,10000').split(',').map(Number);
const rounds = Number(process.argv[3] ?? 40);
/** Of each kind, so that one's stop is long over when it starts again. */
const CONTAINERS = 3;
const BY_HAND = ['nft -f and ip -batch alone', 'a shell hook: one ip for each'] as const;

/** Titles of rows, each with a sample for each round. */
type Times = Map<string, number[]>;

const note = (times: Times, title: string, value: number): void =>
  void times.set(title, [...(times.get(title) ?? []), value]);

interface Started {
  readonly container: Container;
  readonly address: string;
}

/** One start from its command to the first answered packet, and the stop. */
async function timeStart(routewall: Routewall, { container, address }: Started, watch: StartWatch) {
  const { bed, daemon } = routewall;
  const words = ['-P', container.lxcPath, '-n', container.name];
  await untilCleared();
  const mark = routewall.mark();
  const replied = watch.firstReply(address);
  const begin = performance.now();
  const started = bed.host.run('lxc-start', [...words, '-d']).then(() => performance.now());
  const line = await daemon.child().waitForLine(new RegExp(` ${container.name} \\S+ via .*: enforced in `), {
    after: mark,
    timeout: 60_000,
  });
  const enforced = performance.now();
  const [returned, reply] = [await started, await replied];
  await bed.host.run('lxc-stop', [...words, '-k']);
  const removed = new RegExp(` ${container.name} \\S+ via .*: removed in `);
  await daemon.child().waitForLine(removed, { after: mark, timeout: 60_000 });
  return {
    enforced: enforced - begin,
    fromStarting: enforced - watch.state(container.name, 'STARTING', begin),
    fromLink: enforced - watch.link(begin),
    fromRunning: enforced - watch.state(container.name, 'RUNNING', begin),
    committed: watch.commit(enforced) - watch.state(container.name, 'RUNNING', begin),
    committedFromLink: watch.commit(enforced) - watch.link(begin),
    reply: reply - begin,
    returned: returned - begin,
    pass: Number(/enforced in ([\d.]+) ms/.exec(line)?.[1]),
  };
}

async function addContainers(
  routewall: Routewall,
  name: string,
  first: number,
  more: (name: string) => string[],
): Promise<Started[]> {
  const policy = (port: number): string => `${policyOf(port)}    - allow: icmp/echo-request\n      from: any\n`;
  const made: Started[] = [];
  for (let index = 0; index < CONTAINERS; index += 1) {
    const address = `198.51.100.${first + index}`;
    const full = `${name}${index}`;
    const lines = [...nic([address, `2001:db8:100::${first + index}`]), ...more(full)];
    const container = await routewall.addContainer(full, { lines, policy: policy(8000 + index) });
    made.push({ container, address });
  }
  return made;
}

async function measure(others: number): Promise<string[][]> {
  const routewall = await startRoutewall({
    config: 'uplinks: [eth0]\n',
    ...(await asPackaged()),
  });
  await routewall.daemon.stop();
  await makeOthers(routewall.bed, routewall.policyFolder, others);
  const plain = await addContainers(routewall, 'c', 50, () => []);
  const hook = await plainHook(routewall);
  const hooked = await addContainers(routewall, 'h', 60, () => [`lxc.hook.start-host = ${hook}`]);
  const named = await addContainers(routewall, 'n', 70, (name) => [`lxc.net.0.veth.pair = veth${name}`]);
  const boot = await timed(() => routewall.daemon.restart());
  console.log(`${others} others: daemon ready after ${boot.toFixed(0)} ms`);
  // What a start takes right behind the daemon's own is for first-starts to tell.
  await untilIdle(routewall.daemon.child().pid);
  const watch = watchStarts(routewall);
  const twin = await makeTwin(routewall);
  const times: Times = new Map();
  const byHand = { forks: [] as number[], shellHook: [] as number[] };
  const next = async (of: readonly Started[], round: number) => {
    const started = of[round % of.length];
    if (started === undefined) throw new Error('no container');
    return await timeStart(routewall, started, watch);
  };
  // What one leaves to be done falls into the next.
  const used = async () => 1000 * (await timeOf([routewall.daemon.child().pid]));
  let before = 0;
  // The first round warms up.
  for (let round = -1; round < rounds; round += 1) {
    const one = await next(plain, round + 1);
    const other = await next(hooked, round + 1);
    const third = await next(named, round + 1);
    const after = await used();
    const taken = (after - before) / 3;
    before = after;
    if (round < 0) continue;
    await timeByHand(twin, byHand);
    note(times, "the daemon's processor time for a start and its stop", taken);
    note(times, 'STARTING to enforced', one.fromStarting);
    note(times, "the veth's event to enforced", one.fromLink);
    note(times, 'RUNNING to enforced', one.fromRunning);
    note(times, "RUNNING to the kernel's commit", one.committed);
    note(times, 'the pass', one.pass);
    note(times, 'lxc-start to enforced', one.enforced);
    note(times, 'lxc-start to the first answered packet', one.reply);
    note(times, 'lxc-start, until it returns', one.returned);
    note(times, "with veth.pair: the veth's event to enforced", third.fromLink);
    note(times, "with veth.pair: the veth's event to the kernel's commit", third.committedFromLink);
    note(times, 'with veth.pair: the pass', third.pass);
    note(times, 'with our hook: lxc-start to enforced', other.enforced);
    note(times, 'with our hook: to the first answered packet', other.reply);
    note(times, 'with our hook: lxc-start, until it returns', other.returned);
  }
  await cleanUp();
  times.set(BY_HAND[0], byHand.forks);
  times.set(BY_HAND[1], byHand.shellHook);
  return [...times].map(([what, values]) => [
    others.toLocaleString('en'),
    what,
    ...[0.5, 0.9, 0.99].map((share) => quantile(values, share).toFixed(1)),
  ]);
}

const tell = (rows: readonly (readonly string[])[]): Promise<void> =>
  report('event-time', {
    title: 'From an event to rules in force',
    about: `Milliseconds over ${rounds} starts of real containers, without the hook, with it, and with a fixed name of the veth in turn, beside others that run. The daemon's processor time is a mean of the three, with that of commands that ended; it runs as packaged, and has had nothing to do for some seconds when the first one starts. Enforced are rules, routes and settings, as its log tells; the kernel tells of each commit of rules. Whose a veth is that has no fixed name only LXC knows, which can be asked once the container runs, or the hook. The first answered packet is a ping's from beyond the uplink, sent each 4 ms.`,
    command: `node scripts/bench.mjs event-time ${counts.join(',')} ${rounds}`,
    columns: ['others', 'what', 'median', 'p90', 'p99'],
    rows,
    curves: [
      {
        name: 'event-time',
        title: 'A start among others, median',
        x: 'other containers',
        y: 'milliseconds',
        lines: [
          "the veth's event to enforced",
          "with veth.pair: the veth's event to enforced",
          'lxc-start to enforced',
          ...BY_HAND,
        ].map((what) => ({
          label: what,
          points: rows
            .filter((row) => row[1] === what)
            .map(([others = '', , value]) => [Number(others.replaceAll(',', '')), Number(value)] as const),
        })),
      },
    ],
  });

try {
  const rows: string[][] = [];
  for (const count of counts) {
    rows.push(...(await measure(count)));
    await tell(rows);
  }
} finally {
  await cleanUp();
}
