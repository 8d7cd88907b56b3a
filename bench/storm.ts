/**
 * Much at once: all containers start, all stop, an edit that touches all, one member of a large set. Beside each, in a
 * namespace of its own, what nft and ip alone take for the same veths, text and settings. Then real containers, as many as
 * asked for, started together. Needs root. `node scripts/bench.mjs storm [CONTAINERS] [REAL] [MEMBERS] [ROUNDS]`
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { cleanUp } from '../sandbox/clean-up.ts';
import type { Container } from '../sandbox/container.ts';
import { createNamespace, type Namespace } from '../sandbox/namespace.ts';
import { nic, type Routewall, startRoutewall } from '../test/lxc/routewall.ts';
import { asPackaged } from './as-packaged.ts';
import { policyOf, settingLines, startLines, stopLines, writeOthers } from './others.ts';
import { median, report, spread } from './report.ts';

const count = Number(process.argv[2] ?? 1_000);
const real = Number(process.argv[3] ?? 200);
const members = Number(process.argv[4] ?? 100_000);
const rounds = Number(process.argv[5] ?? 5);

const PROFILE = 'profiles/base.yaml';
const profileOf = (round: number): string => policyOf(8000 + round);
const SET = 'sets/many.txt';
const WITH_SET = 'egress:\n  rules:\n    - allow: https\n      to: set:many\n';
/** Every other address, so that none can be merged with its neighbour; the last one changes by round. */
const setOf = (round: number): string =>
  `${Array.from({ length: members - 1 }, (_, index) => `10.${index >> 15}.${(index >> 7) & 255}.${(2 * index) & 255}`).join('\n')}\n198.51.100.${2 * round}\n`;

/** So many elements are more than `nft monitor` can tell of: all is compared behind them, and an edit meanwhile waits for that. */
const untilCompared = (): Promise<void> => setTimeout(4_000);

type Work = () => Promise<unknown>;

async function timed(work: Work): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

/** Waits until that many lines of the daemon match that were said after the mark; looks at each once, since that counts too. */
async function said({ daemon }: Routewall, pattern: RegExp, times: number, after: number): Promise<void> {
  const child = daemon.child();
  for (let next = after, found = 0; found < times; next += 1) {
    if (next === child.lines.length) await child.waitForLine(/^/, { after: next, timeout: 300_000 });
    if (pattern.test(child.lines[next] ?? '')) found += 1;
  }
}

const batch =
  (place: Namespace, program: 'ip' | 'nft', text: string): Work =>
  () =>
    place.run(program, program === 'ip' ? ['-force', '-batch', '-'] : ['-f', '-'], { input: text, timeout: 300_000 });

/** The same edit as who doesn't rename chains would write it, for a twin that has it: each container's elements lead elsewhere. */
function byElements(transaction: string): string {
  const lines = transaction.split('\n');
  const keys = Array.from({ length: count }, (_, index) => `"vo${index}"`);
  return [...transaction.matchAll(/^rename chain inet routewall (\S+) (\S+)$/gm)]
    .flatMap(([, from = '', chain = '']) => {
      const map = `element inet routewall ${chain.startsWith('egress') ? 'from' : 'to'}_container`;
      const rule = `add rule inet routewall ${from} `;
      return [
        `add chain inet routewall ${chain}x`,
        `delete ${map} { ${keys.join(', ')} }`,
        `add ${map} { ${keys.map((key) => `${key} : goto ${chain}x`).join(', ')} }`,
        ...lines.flatMap((line) =>
          line.startsWith(rule) ? line.replace(rule, `add rule inet routewall ${chain}x `) : [],
        ),
        `flush chain inet routewall ${chain}`,
        `delete chain inet routewall ${chain}`,
      ];
    })
    .join('\n');
}

class Storm {
  readonly #routewall: Routewall;
  readonly #twin: Namespace;
  readonly rows = new Map<string, { readonly ours: number[]; readonly alone: number[] }>();

  constructor(routewall: Routewall, twin: Namespace) {
    this.#routewall = routewall;
    this.#twin = twin;
  }

  #note(title: string, ours: number, alone: number): void {
    const row = this.rows.get(title) ?? { ours: [], alone: [] };
    row.ours.push(ours);
    row.alone.push(alone);
    this.rows.set(title, row);
  }

  /** What the daemon says of each container, and the same change without it. */
  async #measure(
    title: string,
    work: Work,
    pattern: RegExp,
    times: number,
    alone: () => Promise<readonly Work[]>,
  ): Promise<number> {
    const mark = this.#routewall.mark();
    const ours = await timed(async () => {
      await work();
      await said(this.#routewall, pattern, times, mark);
    });
    const works = await alone();
    const other = await timed(async () => {
      for (const each of works) await each();
    });
    this.#note(title, ours, other);
    return ours;
  }

  async #render(what: 'nft' | 'routing'): Promise<string> {
    return (await this.#routewall.cli('render', '--what', what)).stdout;
  }

  /** The last transaction, as nft read it. */
  readonly #transaction = (): Promise<string> =>
    readFile(join(this.#routewall.env['RUNTIME_DIRECTORY'] ?? '', 'transaction.nft'), 'utf8');

  async round(round: number): Promise<void> {
    const { bed, writePolicy } = this.#routewall;
    const ip = (text: string): Work => batch(this.#twin, 'ip', text);
    const nft = (text: string): Work => batch(this.#twin, 'nft', text);
    const reset = 'delete table inet routewall\ndelete table arp routewall\n';
    const idle = await this.#render('nft');
    await nft(idle)();
    await this.#measure(
      'all start',
      batch(bed.host, 'ip', startLines(count)),
      / via .*: enforced in /,
      count,
      async () => [
        ip(startLines(count)),
        nft(reset + (await this.#render('nft'))),
        () => this.#twin.run('sh', [], { input: settingLines(count) }),
        ip(await this.#render('routing')),
      ],
    );
    const edit = (): Promise<void> => writePolicy(PROFILE, profileOf(round + 1));
    const edited = await this.#measure('an edit that touches all', edit, / via .*: enforced in /, count, async () => [
      nft(await this.#transaction()),
    ]);
    const other = await timed(nft(byElements(await this.#transaction())));
    this.#note('the same, beside nft changing each element', edited, other);
    await this.#measure(
      'all stop',
      batch(bed.host, 'ip', stopLines(count)),
      / via .*: removed in /,
      count,
      async () => [ip(stopLines(count)), nft(reset + idle)],
    );
    await this.#twin.run('nft', ['delete table inet routewall; delete table arp routewall']);
    await this.#setMember(round);
  }

  async #setMember(round: number): Promise<void> {
    const { bed, writePolicy } = this.#routewall;
    const settle = async (pattern: RegExp, work: Work): Promise<void> => {
      const mark = this.#routewall.mark();
      await work();
      await said(this.#routewall, pattern, 1, mark);
    };
    // One after the other: the twin has to hold what the daemon changes next.
    await settle(/ large .*: enforced in /, () =>
      bed.host.run('ip', ['link', 'add', 'vset', 'up', 'type', 'veth', 'peer', 'name', 'vpeer']),
    );
    await settle(/ large .*: enforced in /, () => writePolicy(SET, setOf(2 * round)));
    await batch(this.#twin, 'nft', await this.#render('nft'))();
    const content = setOf(2 * round + 1);
    const edit = (): Promise<void> => writePolicy(SET, content);
    await untilCompared();
    await this.#measure(
      `a set of ${members.toLocaleString('en')}, one member changed`,
      edit,
      / large .*: enforced in /,
      1,
      async () => [batch(this.#twin, 'nft', await this.#transaction())],
    );
    await this.#twin.run('nft', ['delete table inet routewall; delete table arp routewall']);
    await settle(/ large .*: removed in /, () => bed.host.run('ip', ['link', 'del', 'vset']));
    await writePolicy(SET, '192.0.2.9\n');
  }
}

interface RealTimes {
  readonly lxc: number;
  readonly enforced: number;
}

/** Real ones, eight at a time: LXC's own time is most of it, so what counts is how long after the last one all are dealt with. */
class RealContainers {
  readonly #routewall: Routewall;
  readonly #containers: Container[] = [];

  constructor(routewall: Routewall) {
    this.#routewall = routewall;
  }

  async make(): Promise<void> {
    for (let index = 0; index < real; index += 1) {
      const options = { lines: nic([`198.51.100.${index}`]), policy: policyOf(8000 + (index % 20)) };
      this.#containers.push(await this.#routewall.addContainer(`real${index}`, options));
    }
  }

  /** Until the daemon has told of each what it told first of one. */
  async each(command: readonly [string, string], pattern: RegExp): Promise<RealTimes> {
    const mark = this.#routewall.mark();
    const begin = performance.now();
    const lxc = await this.alone(command);
    await said(this.#routewall, pattern, real, mark);
    return { lxc, enforced: performance.now() - begin };
  }

  alone([command, flag]: readonly [string, string]): Promise<number> {
    const { bed } = this.#routewall;
    const queue = [...this.#containers];
    const worker = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift())
        await bed.host.run(command, ['-P', next.lxcPath, '-n', next.name, flag], { timeout: 120_000 });
    };
    return timed(() => Promise.all(Array.from({ length: 8 }, worker)));
  }
}

try {
  const routewall = await startRoutewall({
    config: 'uplinks: [eth0]\n',
    ...(await asPackaged()),
    policies: { [PROFILE]: profileOf(0), [SET]: '192.0.2.9\n' },
  });
  const twin = await createNamespace('twin');
  await twin.run('ip', ['link', 'add', 'eth0', 'up', 'type', 'veth', 'peer', 'name', 'eth1']);
  await routewall.daemon.stop();
  await writeOthers(routewall.bed, routewall.policyFolder, count, () => 'use: [base]\n');
  await routewall.addContainer('large', {
    lines: nic(['192.0.2.50'], { extra: ['veth.pair = vset'] }),
    policy: WITH_SET,
  });
  await routewall.daemon.restart();
  const storm = new Storm(routewall, twin);
  for (let round = 0; round < rounds; round += 1) await storm.round(round);
  const rows = [...storm.rows].map(([title, { ours, alone }]) => {
    const ratios = ours.map((time, index) => time / (alone[index] ?? Number.NaN));
    return [title, median(ours).toFixed(0), median(alone).toFixed(0), median(ratios).toFixed(2), spread(ratios)];
  });
  const containers = new RealContainers(routewall);
  await containers.make();
  const phases = [
    { what: 'start', command: ['lxc-start', '-d'], pattern: / real\d+ .*: enforced in / },
    { what: 'stop', command: ['lxc-stop', '-k'], pattern: / real\d+ .*: removed in / },
  ] as const;
  const beside = [];
  for (const { command, pattern } of phases) beside.push(await containers.each(command, pattern));
  await routewall.daemon.stop();
  for (const [index, { what, command }] of phases.entries()) {
    const alone = await containers.alone(command);
    const { lxc = Number.NaN, enforced = Number.NaN } = beside[index] ?? {};
    const title = `${real} real containers ${what}`;
    rows.push([
      title,
      enforced.toFixed(0),
      `${alone.toFixed(0)} (LXC alone; beside the daemon ${lxc.toFixed(0)})`,
      (enforced / alone).toFixed(2),
      '',
    ]);
  }
  await report('storm', {
    title: `Much at once: ${count.toLocaleString('en')} containers`,
    about: `Milliseconds until all is enforced, medians of ${rounds} rounds, and what nft and ip alone take for the same veths and the same text, with a shell's writes of the same settings (since this bench counts them, what it tells isn't to be compared with what it told before). An edit waits 25 ms for the rest of its burst, which counts; one of the large set comes once the last one has been compared. The daemon runs as packaged. Below, real containers, eight at a time, against the time of LXC's own commands meanwhile.`,
    command: `node scripts/bench.mjs storm ${count} ${real} ${members} ${rounds}`,
    columns: ['what', 'routewall', 'nft and ip alone', 'ratio', 'spread'],
    rows,
  });
} finally {
  await cleanUp();
}
