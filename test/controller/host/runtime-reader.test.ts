/** Which veths a running container has, where the kernel told that one of them is gone and still seems to have it. */
import { afterEach, expect, it, vi } from 'vitest';
import type { CommandResult, Run } from '../../../controller/commands/run.ts';
import type { Runtime, RuntimeQuestion } from '../../../controller/host/container-runtime.ts';
import { describeContainer } from '../../../controller/host/containers.ts';
import { RuntimeReader, type RuntimeReaderOptions } from '../../../controller/host/runtime-reader.ts';
import { parseText } from '../../watchers/lxc-config/memory-files.ts';
import { veth } from '../states.ts';

/** A link that exists wherever this runs. */
const LINK = veth('lo');

/** `answer`: its monitor's. */
function reading(lines = '', options: Partial<RuntimeReaderOptions> = {}, answer = `2\n4242\n${LINK}\n`) {
  const lxc = parseText(`lxc.net.0.type = veth\n${lines}`);
  const container = describeContainer('/var/lib/lxc', 'web', lxc);
  const before: Runtime = { state: 'RUNNING', veths: new Map(container.endpoints.map(({ key }) => [key, LINK])) };
  const question: RuntimeQuestion = { lxcPath: '/var/lib/lxc', name: 'web', lxc, container, before };
  const asked: string[] = [];
  const run: Run = async (command, args) => {
    // Where it is now isn't found.
    const isMonitor = command === 'perl' && !args.includes('process');
    asked.push(isMonitor ? 'its monitor' : command);
    return { stdout: isMonitor ? answer : '', stderr: '', exitCode: 0 };
  };
  const reader = new RuntimeReader({ run, ...options });
  const read = (found: Runtime = before) => reader.read({ ...question, before: found }, () => question);
  return { reader, asked, id: container.id, read };
}

it('asks nobody while all that was found exists', async () => {
  const { read, asked } = reading();
  expect((await read()).veths.size).toBe(1);
  expect(asked).toEqual([]);
});

it.each(['', 'lxc.net.0.veth.pair = lo\n'])(
  'asks about one that was renamed, once, whatever exists: %j',
  async (lines) => {
    const { reader, id, read, asked } = reading(lines);
    reader.noteLink(id, LINK, true);
    expect((await read()).veths.size).toBe(0);
    expect(asked).toContain('its monitor');
    asked.length = 0;
    expect((await read()).veths.size).toBe(1);
    expect(asked).toEqual([]);
  },
);

it('asks nobody about one that has come back', async () => {
  const { reader, id, read, asked } = reading();
  reader.noteLink(id, LINK, true);
  reader.noteLink(id, LINK, false);
  expect((await read()).veths.size).toBe(1);
  expect(asked).toEqual([]);
});

const OF_STOPPED = { state: 'STOPPED', veths: new Map() };
const OF_STOPPING = { state: 'STOPPING', veths: new Map() };

it('asks nobody about one whose end LXC and the kernel tell', async () => {
  const { reader, id, read, asked } = reading();
  reader.noteState(id, 'STOPPING');
  expect((await read()).veths.size).toBe(1);
  reader.noteLink(id, LINK, true);
  expect(await read()).toEqual(OF_STOPPING);
  reader.noteState(id, 'STOPPED');
  expect(await read(OF_STOPPING)).toEqual(OF_STOPPED);
  expect(asked).toEqual([]);
});

it('asks nobody about one that was seen without its links, and has stopped', async () => {
  const { reader, id, read, asked } = reading();
  reader.noteState(id, 'STOPPED');
  expect(await read({ state: 'RUNNING', veths: new Map() })).toEqual(OF_STOPPED);
  expect(asked).toEqual([]);
});

it('asks nobody about one that has stopped once more', async () => {
  const { reader, id, read, asked } = reading();
  reader.noteState(id, 'STOPPED');
  expect(await read(OF_STOPPED)).toEqual(OF_STOPPED);
  expect(asked).toEqual([]);
});

it('finds the link of one that is started anew before LXC tells of it', async () => {
  const { reader, id, read } = reading('lxc.net.0.veth.pair = lo\n');
  reader.noteState(id, 'STOPPED');
  expect((await read(OF_STOPPED)).veths.size).toBe(1);
});

it.each(['', 'lxc.net.0.veth.pair = lo\n'])('believes no link of one that LXC told has stopped: %j', async (lines) => {
  const silent = reading(lines, {}, '');
  silent.reader.noteState(silent.id, 'STOPPED');
  expect(await silent.read()).toEqual(OF_STOPPED);
  const again = reading(lines);
  again.reader.noteState(again.id, 'STOPPED');
  expect((await again.read()).veths.size).toBe(1);
  expect(again.asked).toContain('its monitor');
});

it('asks once about one that LXC told starts anew, whatever is left of it', async () => {
  const { reader, id, read, asked } = reading();
  reader.noteState(id, 'STARTING');
  expect((await read()).veths.size).toBe(1);
  expect(asked).toEqual(['its monitor']);
  await read();
  expect(asked).toEqual(['its monitor']);
});

it('asks nobody where the kernel tells of the end last', async () => {
  const { reader, id, read, asked } = reading();
  reader.noteState(id, 'STOPPED');
  reader.noteLink(id, LINK, true);
  expect(await read()).toEqual(OF_STOPPED);
  expect(asked).toEqual([]);
});

it.each([
  ['only the kernel tells of its end', []],
  ['it was started anew', ['STOPPING', 'STOPPED', 'STARTING']],
  ['it runs again', ['STOPPED', 'RUNNING']],
])('asks where %s', async (_, states) => {
  const { reader, id, read, asked } = reading();
  for (const state of states) reader.noteState(id, state);
  reader.noteLink(id, LINK, true);
  await read();
  expect(asked).toContain('its monitor');
});

it.each([
  ['it is not told that the end came', OF_STOPPING],
  ['a hook said that it starts', { state: 'STARTING', veths: new Map() }],
])('asks where %s', async (_, before) => {
  const { reader, id, read, asked } = reading();
  reader.noteState(id, before === OF_STOPPING ? 'STOPPING' : 'STOPPED');
  await read(before);
  expect(asked).toContain('its monitor');
});

it('asks where its configuration went meanwhile, or a hook says that it starts', async () => {
  const { reader, id, read, asked } = reading();
  reader.noteState(id, 'STOPPED');
  reader.forgetEnd(id);
  await read(OF_STOPPING);
  expect(asked).toContain('its monitor');
  asked.length = 0;
  reader.noteState(id, 'STOPPED');
  reader.hint(id, { veth: LINK, initPid: 0 });
  await read(OF_STOPPING);
  expect(asked).toContain('its monitor');
});

afterEach(() => void vi.useRealTimers());

it.each(['after its pass', 'before its pass has ended'])(
  'knows of a hook that the kernel confirms late, %s',
  async (when) => {
    vi.useFakeTimers();
    const answer: CommandResult = { stdout: `${LINK}\n`, stderr: '', exitCode: 0 };
    const late: string[] = [];
    const { reader, id, read } = reading('lxc.net.0.veth.pair = lo\n', {
      run: () => new Promise((resolve) => setTimeout(resolve, 900, answer)),
      onLate: ({ name }) => void late.push(name),
    });
    reader.hint(id, { veth: LINK, initPid: 0 });
    const first = read(OF_STOPPED);
    await vi.advanceTimersByTimeAsync(600);
    expect((await first).veths.size).toBe(0);
    const before = when === 'after its pass' ? reader.settled(id) : undefined;
    await vi.advanceTimersByTimeAsync(600);
    expect(late).toEqual(['web']);
    expect(await (before ?? reader.settled(id))).toBe(true);
    expect([...(await read(OF_STOPPED)).veths.values()]).toEqual([LINK]);
    expect(await reader.settled(id)).toBe(false);
  },
);

it('believes no answer that was asked for before LXC told of the end', async () => {
  vi.useFakeTimers();
  const late: string[] = [];
  let listens = true;
  const { reader, id, read } = reading('', {
    run: (_, args) => {
      const stdout = args.includes('process') ? `${LINK}\n` : listens ? '2\n4242\n' : '';
      return new Promise((resolve) => setTimeout(resolve, 900, { stdout, stderr: '', exitCode: 0 }));
    },
    onLate: ({ name }) => void late.push(name),
  });
  reader.endFirst();
  reader.noteLink(id, LINK, true);
  const first = read();
  await vi.advanceTimersByTimeAsync(600);
  await first;
  reader.noteState(id, 'STOPPED');
  listens = false;
  await vi.advanceTimersByTimeAsync(2_000);
  expect(late).toEqual(['web']);
  const second = read();
  await vi.advanceTimersByTimeAsync(600);
  // Nor is anything else known by then.
  expect((await second).state).toBe('RUNNING');
  await vi.advanceTimersByTimeAsync(600);
  expect(await read()).toEqual(OF_STOPPED);
});
