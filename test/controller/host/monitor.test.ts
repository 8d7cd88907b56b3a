/** What a container's monitor is asked on its command socket, and what is made of its answers. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, expect, it } from 'vitest';
import { run } from '../../../controller/commands/run.ts';
import { askMonitor, listSilent, parseMonitorAnswer } from '../../../controller/host/monitor.ts';
import { commandSocketNames } from '../../../watchers/lxc-socket-names.ts';
import { FAKE_MONITOR, runsAs } from '../../fake-monitor.ts';

const ends: (() => unknown)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** Of this process alone, as the names of its sockets are. */
const lxcPath = `/nowhere/${process.pid}`;
const one = { lxcPath, name: 'one' };

const socketOf = (name: string): string => `${lxcPath}/${name}/command`;

async function answering(socket: string, answers: readonly string[]): Promise<void> {
  const words = ['-e', FAKE_MONITOR, socket, ...answers];
  const child = spawn('perl', words, { stdio: ['ignore', 'pipe', 'inherit'] });
  ends.push(() => child.kill());
  await once(child.stdout, 'data');
}

it('asks for the state, for init, and for the links in order, whatever their names hold', async () => {
  await answering(socketOf('one'), runsAs(4242, 'vethAbC123', 'odd=name:1'));
  expect(await askMonitor(run, one)).toEqual({ state: 'RUNNING', pid: 4242, links: ['vethAbC123', 'odd=name:1'] });
  expect(await askMonitor(run, { ...one, lxcPath: `${lxcPath}/` })).toMatchObject({ pid: 4242 });
});

it('tells what a NIC of another type is linked to, and ends at a gap', async () => {
  const type = (index: number, word: string) => `7lxc.net.${index}.type=0:0:${word}`;
  const link = '7lxc.net.0.link=0:0:eth0';
  const answers = ['3=0:1:', '4=0:7:', type(0, 'macvlan'), link, type(1, 'veth'), '7lxc.net.1.veth.pair=-22:0:'];
  await answering(socketOf('one'), answers);
  expect(await askMonitor(run, one)).toEqual({ state: 'STARTING', pid: 7, links: ['eth0'] });
});

it('asks one without a process for no link', async () => {
  await answering(socketOf('one'), ['3=0:3:', '4=0:-1:', ...runsAs(1, 'veth0').slice(2)]);
  expect(await askMonitor(run, one)).toEqual({ state: 'STOPPING', pid: undefined, links: [] });
});

it('finds one whose name is longer than a socket can have', async () => {
  const long = { lxcPath, name: 'x'.repeat(120) };
  await answering(commandSocketNames(lxcPath, long.name)[1] ?? expect.unreachable(), runsAs(4242, 'veth0'));
  expect(await askMonitor(run, long)).toMatchObject({ links: ['veth0'] });
});

it('has no answer where nobody listens', async () => {
  expect(await askMonitor(run, one)).toBeUndefined();
});

it.each([
  ['is closed', [], /the monitor of one: no answer/],
  ['is an error', ['3=-13:0:'], /the monitor of one: error -13/],
  ['is no state', ['3=0:8:', '4=0:-1:'], /answers 8/],
  ['is too long', ['3=0:2:', '4=0:7:', `7lxc.net.0.type=0:0:${'x'.repeat(8192)}`], /an answer of 8193 bytes/],
] as const)('takes what %s for none', async (_, answers, why) => {
  await answering(socketOf('one'), answers);
  await expect(askMonitor(run, one)).rejects.toThrow(why);
});

it('tells of many at once for whom nobody listens', async () => {
  const names = Array.from({ length: 450 }, (_, index) => `c${index}`);
  const long = 'x'.repeat(120);
  await answering(socketOf('c7'), []);
  await answering(socketOf('c333'), []);
  const silent = await listSilent(
    run,
    [...names, long].map((name) => ({ lxcPath, name })),
  );
  expect(silent.map(({ name }) => name)).toEqual([...names, long].filter((name) => name !== 'c7' && name !== 'c333'));
});

it('takes one that started between its state and its process for starting', () => {
  expect(parseMonitorAnswer('0\n4242\n')).toMatchObject({ state: 'STARTING', pid: 4242 });
});

it.each([5, 6, 7])('takes one that is being frozen or thawed for one that runs: %i', (state) => {
  expect(parseMonitorAnswer(`${state}\n4242\n`)).toMatchObject({ state: 'RUNNING', pid: 4242 });
});

it.each(['2\n', 'x\n1\n', '2\nx\n', '-1\n1\n'])('refuses %j', (text) => {
  expect(() => parseMonitorAnswer(text)).toThrow("a container's monitor answers");
});
