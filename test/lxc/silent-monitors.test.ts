/** What nobody tells of is found by the resync alone, whatever it takes for unchanged since the last one. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { run } from '../../sandbox/run.ts';
import { type OwnState, readOwnState } from './kernel-state.ts';
import { addressesOf, nic, type Routewall, startRoutewall } from './routewall.ts';
import { stopMonitors } from './stop-monitors.ts';
import { whileStopped } from './while-stopped.ts';

afterEach(cleanUp);

const VETH = 'cvethweb';
const SETTINGS = [
  `net/ipv4/conf/${VETH}/forwarding`,
  'net/ipv4/conf/eth0/forwarding',
  `net/ipv6/conf/${VETH}/accept_ra`,
  'net/ipv6/conf/all/forwarding',
  'net/ipv6/conf/eth0/proxy_ndp',
];

interface State extends OwnState {
  readonly settings: string;
}

async function readState({ bed }: Routewall): Promise<State> {
  const { stdout: settings } = await bed.host.run('sh', ['-c', `cd /proc/sys && cat ${SETTINGS.join(' ')}`]);
  return { ...(await readOwnState(bed.host)), settings };
}

const POLICY = 'egress: { rules: [{ allow: tcp/80, to: any }] }\n';

async function makeScene(resync: number): Promise<{ routewall: Routewall; good: State }> {
  const routewall = await startRoutewall({ config: `resync: ${resync}\n` });
  const web = await routewall.addContainer('web', {
    lines: nic([...addressesOf(10), '192.0.2.10', '2001:db8:0:1::10'], { extra: [`veth.pair = ${VETH}`] }),
    policy: POLICY,
  });
  await routewall.start(web);
  const good = await eventually('both proxies are set', async () => {
    const state = await readState(routewall);
    return state.proxies.length === 2 && state;
  });
  // What was set is looked at once more some moments later, whoever tells of it.
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  expect(await stopMonitors(routewall)).toBeGreaterThanOrEqual(3);
  return { routewall, good };
}

const DRIFT: readonly string[] = [
  'nft flush chain inet routewall forward_from',
  `nft delete element inet routewall veths { "${VETH}" }`,
  'nft delete table arp routewall',
  `ip route del ${addressesOf(10)[0]} dev ${VETH}`,
  `ip -6 route del ${addressesOf(10)[1]} dev ${VETH}`,
  `ip address flush dev ${VETH} scope link`,
  'ip neighbour del proxy 192.0.2.10 dev eth0',
  'ip -6 neighbour del proxy 2001:db8:0:1::10 dev eth0',
  ...SETTINGS.map((key) => `echo ${key.endsWith('accept_ra') ? 1 : 0} > /proc/sys/${key}`),
];

test('a resync finds each thing that changed while all monitors were silent', async () => {
  const { routewall, good } = await makeScene(1);
  await untilNoPass(routewall);
  for (const change of DRIFT) {
    // After some resyncs that had nothing to do.
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    const drifted = await whileStopped(routewall, async () => {
      await routewall.bed.host.run('sh', ['-c', change]);
      return await readState(routewall);
    });
    expect(drifted, `it changes nothing: ${change}`).not.toEqual(good);
    await eventually(`mended: ${change}`, async () => isSame(await readState(routewall), good), 10_000);
  }
});

test('it finds them too where another container starts and stops all the time', async () => {
  const { routewall, good } = await makeScene(2);
  const other = await routewall.addContainer('other', { lines: nic(addressesOf(20)), policy: POLICY });
  let isOver = false;
  const churn = async (): Promise<void> => {
    while (!isOver) {
      await other.start();
      await new Promise((resolve) => setTimeout(resolve, 300));
      await other.stop('kill');
    }
  };
  const churning = churn();
  const isMended = async (): Promise<boolean> => isSame(withoutOther(await readState(routewall)), withoutOther(good));
  for (const change of DRIFT.filter((each) => !each.includes('delete table'))) {
    await eventually('it is right', isMended, 30_000);
    await routewall.bed.host.run('sh', ['-c', change]);
    await eventually(`mended: ${change}`, isMended, 30_000);
  }
  isOver = true;
  await churning;
});

/** While the kernel holds more events for the daemon than it keeps, so that those of this file are lost. */
async function rewriteUnseen({ policyFolder, daemon }: Routewall, text: string): Promise<void> {
  const most = Number(await readFile('/proc/sys/fs/inotify/max_queued_events', 'utf8'));
  daemon.child().signal('SIGSTOP');
  await run('perl', ['-e', FLOOD, join(policyFolder, 'containers'), String(most)]);
  await writeFile(join(policyFolder, 'containers/web.yaml'), text);
  // What is new is looked at in any case.
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  daemon.child().signal('SIGCONT');
}

const FLOOD =
  'my ($in, $count) = @ARGV; for (1 .. $count) { open my $f, ">", "$in/.$_" or die; unlink "$in/.$_" or die }';

const ALLOWS_81 = 'egress: { rules: [{ allow: tcp/81, to: any }] }\n';
const is81Allowed = async ({ bed }: Routewall): Promise<boolean> =>
  (await bed.host.run('nft', ['list', 'table', 'inet', 'routewall'])).stdout.includes('tcp dport 81');

/** Each pass writes it: once none does, resyncs of a second find everything as it was. */
async function untilNoPass({ env }: Routewall): Promise<void> {
  const status = join(env['RUNTIME_DIRECTORY'] ?? '', 'status.json');
  await eventually(
    'a resync is no pass',
    async () => {
      const { mtimeMs } = await stat(status);
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      return (await stat(status)).mtimeMs === mtimeMs;
    },
    30_000,
  );
}

test('a resync finds a file that changed without its watcher being told', async () => {
  const { routewall } = await makeScene(1);
  await untilNoPass(routewall);
  await rewriteUnseen(routewall, ALLOWS_81);
  await eventually('the new policy is in force', () => is81Allowed(routewall), 10_000);
});

test('another configuration has the host read anew, whatever was proven under the one before', async () => {
  const { routewall } = await makeScene(1);
  await untilNoPass(routewall);
  const lan = async (): Promise<string> =>
    (await routewall.bed.host.run('nft', ['list', 'set', 'inet', 'routewall', 'lan4'])).stdout;
  const before = await lan();
  expect(before).toContain('192.0.2.0/24');
  const after = routewall.mark();
  await writeFile(routewall.configFile, 'resync: 3600\nguard: ["veth*", "zz*"]\n');
  await eventually('the new one is in force', async () =>
    (await routewall.bed.host.run('nft', ['list', 'table', 'inet', 'routewall'])).stdout.includes('zz*'),
  );
  expect(await lan(), routewall.daemon.child().lines.slice(after).join('\n')).toBe(before);
});

test('nothing else finds it, and no other file', async () => {
  const { routewall, good } = await makeScene(3600);
  for (const change of DRIFT) await routewall.bed.host.run('sh', ['-c', change]);
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  const state = await readState(routewall);
  for (const part of ['tables', 'routes', 'proxies', 'gateways', 'settings'] as const)
    expect(state[part], part).not.toEqual(good[part]);
  await rewriteUnseen(routewall, ALLOWS_81);
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  expect(await is81Allowed(routewall)).toBe(false);
});

const isSame = (state: State, good: State): boolean => JSON.stringify(state) === JSON.stringify(good);

/** What the other container has comes and goes. */
function withoutOther({ tables, settings, ...routing }: State): State {
  const isOther = (text: string): boolean => /\bveth[A-Za-z0-9]|198\.51\.100\.20|2001:db8:100::20/.test(text);
  const without = (lists: Readonly<Record<string, readonly string[]>>) =>
    Object.entries(lists).map(([name, list]) => [name, list.filter((text) => !isOther(text))] as const);
  return {
    settings,
    tables: Object.fromEntries(without(tables)),
    ...routing,
    ...Object.fromEntries(without({ ...routing })),
  };
}
