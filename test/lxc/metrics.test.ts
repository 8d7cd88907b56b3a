/** The daemon's metrics tell of real traffic, real refusals and real repairs, in a form that Prometheus takes. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { cleanUp, makeFolder } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { listen, probe } from '../../sandbox/services.ts';
import { addressesOf, nic, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const POLICY = `egress:
  rules:
    - allow: tcp/80
      to: any
ingress:
  default: reject
`;

interface Places {
  readonly rw: Routewall;
  readonly socket: string;
  readonly folder: string;
}

async function makePlaces(): Promise<Places> {
  const folder = await makeFolder();
  const [socket, files] = [join(folder, 'wall.sock'), join(folder, 'files')];
  await mkdir(files);
  const config = `metrics: { textfile: ${files}/wall.prom, listen: ${socket} }\n`;
  return { rw: await startRoutewall({ config }), socket, folder: files };
}

function scrape(socketPath: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path: '/metrics' }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => (response.statusCode === 200 ? resolve(text) : reject(new Error(text))));
    });
    asked.on('error', reject).end();
  });
}

/** Throws for a line that Prometheus' text format doesn't know, a sample without its type, or one that is there twice. */
function parse(text: string): Map<string, number> {
  const types = new Map<string, string>();
  const found = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, name = '', type = ''] = /^# TYPE ([a-z_]+) (counter|gauge|histogram)$/.exec(line) ?? [];
    if (name !== '') types.set(name, type);
    if (line === '' || line.startsWith('# TYPE ') || /^# HELP routewall_[a-z_]+ [A-Z].*\.$/.test(line)) continue;
    const pattern =
      /^((routewall_[a-z_]+)(?:\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+\})?) (\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/;
    const [, sample = '', metric = '', value = ''] = pattern.exec(line) ?? [];
    const type_ = types.get(metric) ?? types.get(metric.replace(/_(bucket|sum|count)$/, ''));
    if (sample === '' || type_ === undefined) throw new Error(`no sample: ${line}`);
    if ((type_ === 'counter') !== metric.endsWith('_total')) throw new Error(`a ${type_} by a wrong name: ${line}`);
    if (found.has(sample)) throw new Error(`twice: ${line}`);
    found.set(sample, Number(value));
  }
  return found;
}

const labels = ({ bed }: Routewall, direction: string): string =>
  `{container="web",lxc_path="${bed.lxcPath}",nic="eth0",direction="${direction}"}`;

test('counters move with what a container sends, receives and is refused, and go on over its next run', async () => {
  const { rw, socket } = await makePlaces();
  const value = async (sample: string): Promise<number> => {
    const found = parse(await scrape(socket)).get(`routewall_${sample}`);
    if (found === undefined) throw new Error(`no ${sample}`);
    return found;
  };
  const [egress, ingress] = [labels(rw, 'egress'), labels(rw, 'ingress')];
  const web = await rw.addContainer('web', { lines: nic(addressesOf(10)), policy: POLICY });
  await eventually('the container is known', async () => (await value('containers{state="STOPPED"}')) === 1);
  expect([await value('interfaces_enforced'), await value('policies{status="ok"}')]).toEqual([0, 1]);
  expect(await value(`container_packets_total${egress}`)).toBe(0);

  await rw.start(web);
  await eventually('it runs', async () => (await value('containers{state="RUNNING"}')) === 1);
  expect([await value('interfaces_enforced'), await value('containers{state="STOPPED"}')]).toEqual([1, 0]);
  await listen(rw.bed.outside, { protocol: 'tcp', port: 80 });
  const before = [await value(`container_packets_total${egress}`), await value(`container_bytes_total${ingress}`)];
  expect([await value(`container_refused_packets_total${egress}`)]).toEqual([0]);
  const inside = await web.inside();
  expect(await probe(inside, { protocol: 'tcp', to: '203.0.113.80', port: 80 })).toBe('allowed');
  expect(await probe(inside, { protocol: 'tcp', to: '203.0.113.80', port: 81 })).toBe('dropped');
  expect(await probe(inside, { protocol: 'tcp', to: '2001:db8:ffff::80', port: 81 })).toBe('dropped');
  expect(await probe(rw.bed.outside, { protocol: 'tcp', to: '198.51.100.10', port: 80 })).toBe('refused');
  // Four of the connection's own at the least.
  expect(await value(`container_packets_total${egress}`)).toBeGreaterThanOrEqual((before[0] ?? 0) + 4);
  expect(await value(`container_bytes_total${ingress}`)).toBeGreaterThan((before[1] ?? 0) + 100);
  await eventually('refusals', async () => (await value(`container_refused_packets_total${egress}`)) >= 2, 60_000);
  expect(await value(`container_refused_packets_total${ingress}`)).toBeGreaterThanOrEqual(1);

  const sent = await value(`container_packets_total${egress}`);
  await rw.stop(web);
  await rw.start(web);
  expect(await value(`container_packets_total${egress}`)).toBeGreaterThanOrEqual(sent);
  expect(await value('passes_total{result="done"}')).toBe(await value('pass_duration_seconds_count'));
  expect(await value('passes_total{result="failed"}')).toBe(0);
});

test('problems, broken policies and repairs are told; the textfile says so too, and ends with the daemon', async () => {
  const { rw, socket, folder } = await makePlaces();
  const web = await rw.addContainer('web', { lines: nic(addressesOf(10)), policy: POLICY });
  await rw.start(web);
  await rw.writePolicy('containers/web.yaml', 'egress: { default: alow }\n');
  const has = async (sample: string): Promise<boolean> => (await scrape(socket)).includes(`\nroutewall_${sample}`);
  await eventually('the error', () => has('problems{severity="error"} 1\n'));
  expect(await has('policies{status="last-good"} 1\n')).toBe(true);
  await rw.bed.host.run('nft', ['delete', 'table', 'inet', 'routewall']);
  await eventually('the repair', async () => !(await has('drift_repaired_total 0\n')));

  const file = join(folder, 'wall.prom');
  const written = await eventually(
    'the file tells of it',
    async () => {
      const found = parse(await readFile(file, 'utf8'));
      return found.get('routewall_problems{severity="error"}') === 1 && found;
    },
    30_000,
  );
  expect([...written.keys()]).toEqual([...parse(await scrape(socket)).keys()]);
  await rw.daemon.stop();
  expect(await readdir(folder)).toEqual([]);
  await expect(scrape(socket)).rejects.toThrow();
});

test('a killed daemon leaves no socket in the way, and a change of the configuration moves the metrics', async () => {
  const { rw, socket, folder } = await makePlaces();
  await rw.daemon.restart('SIGKILL');
  expect(parse(await scrape(socket)).size).toBeGreaterThan(20);
  await eventually('the textfile', async () => (await readdir(folder)).length === 1);

  await rw.bed.host.run('ip', ['link', 'set', 'lo', 'up']);
  await writeFile(rw.configFile, 'metrics: { textfile: none, listen: "127.0.0.1:9119" }\n');
  const program = `fetch('http://127.0.0.1:9119/metrics').then((answer) => answer.text()).then(console.log)`;
  const found = await eventually('the loopback address answers', async () => {
    const { stdout, exitCode } = await rw.bed.host.runForResult(process.execPath, ['-e', program]);
    return exitCode === 0 && parse(stdout.trimEnd());
  });
  expect(found.size).toBeGreaterThan(20);
  expect(await readdir(folder)).toEqual([]);
  await expect(scrape(socket)).rejects.toThrow();
});
