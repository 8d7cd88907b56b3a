import { expect, it } from 'vitest';
import { CommandError, CrashError, type Run, run } from '../../../controller/commands/run.ts';
import { linkIdentity, parseLxcInfo, readRuntime } from '../../../controller/host/container-runtime.ts';
import { describeContainer } from '../../../controller/host/containers.ts';
import { parseText } from '../../watchers/lxc-config/memory-files.ts';
import { exhaustFiles, restoreFiles } from '../out-of-files.ts';
import { veth } from '../states.ts';

// lxc-info -s -p -S (LXC 5.0.2)
const RUNNING = `State:          RUNNING
PID:            4242
Link:           vethAbC123
 TX bytes:      1.10 KiB
 RX bytes:      936 bytes
 Total bytes:   2.01 KiB
Link:           odd name:1
`;

it('reads a running container with its links in order, whatever their names hold', () => {
  expect(parseLxcInfo(RUNNING)).toEqual({ state: 'RUNNING', pid: 4242, links: ['vethAbC123', 'odd name:1'] });
});

it('takes one that started between its state and its process for starting', () => {
  const text = RUNNING.replace('RUNNING', 'STOPPED');
  expect(parseLxcInfo(text)).toMatchObject({ state: 'STARTING', pid: 4242 });
});

it.each(['FREEZING', 'FROZEN', 'THAWED'])('takes one that is %s for one that runs', (state) => {
  expect(parseLxcInfo(RUNNING.replace('RUNNING', state))).toMatchObject({ state: 'RUNNING', pid: 4242 });
});

it.each([
  ['State:          STOPPED\n', 'STOPPED'],
  ['', 'STOPPED'],
  ['State:          STOPPED\nPID:            -1\n', 'STOPPED'],
  ['State:          STARTING\nPID:            x\n', 'STARTING'],
])('knows no process and no link in %j', (text, state) => {
  expect(parseLxcInfo(text)).toEqual({ state, pid: undefined, links: [] });
});

const question = (text: string) => {
  const lxc = parseText(text);
  const container = describeContainer('/var/lib/lxc', 'web', lxc);
  return { lxcPath: '/var/lib/lxc', name: 'web', lxc, container, before: undefined };
};
const NIC = 'lxc.net.0.type = veth\n';
/** Whose monitor it is. */
const TRUSTED = { stdout: 'yes\n', stderr: '', exitCode: 0 };

it('is not kept from the others by one in whose configuration LXC crashes, or would wait for ever', async () => {
  const crash: Run = async (command) =>
    command === 'perl' ? TRUSTED : Promise.reject(new CrashError('lxc-info: SIGSEGV'));
  expect(await readRuntime(crash, question(NIC))).toMatchObject({ state: 'STOPPED' });
  const never = async () => Promise.reject(new Error('asked'));
  expect(await readRuntime(never, question(`${NIC}lxc.include = /lxc/web/config`))).toMatchObject({ state: 'STOPPED' });
});

it('believes nobody who may have come while it asked', async () => {
  const asked: string[] = [];
  const told: Run = async (command) => {
    asked.push(command);
    if (command === 'perl') return asked.length > 2 ? { ...TRUSTED, stdout: '' } : TRUSTED;
    return { stdout: RUNNING, stderr: '', exitCode: 0 };
  };
  expect(await readRuntime(told, question(NIC))).toMatchObject({ state: 'STOPPED', veths: new Map() });
  expect(asked.sort()).toEqual(['lxc-info', 'perl', 'perl']);
});

it('does not take lxc-info that is missing for an answer', async () => {
  const missing: Run = async (command) =>
    command === 'perl' ? TRUSTED : Promise.reject(new CommandError('lxc-info: ENOENT'));
  await expect(readRuntime(missing, question(NIC))).rejects.toThrow('ENOENT');
});

it('tells a crash from a command that took too long', async () => {
  const script = (text: string) => run(process.execPath, ['-e', text], { timeout: 2_000 });
  await expect(script('process.kill(process.pid, "SIGSEGV")')).rejects.toBeInstanceOf(CrashError);
  const slow = await script('setTimeout(() => {}, 60_000)').catch((error: unknown) => error);
  expect(slow).toBeInstanceOf(CommandError);
  expect(slow).not.toBeInstanceOf(CrashError);
});

it('takes no link for another one for want of a descriptor to read its number', async () => {
  const lo = veth('lo');
  const identity = linkIdentity(lo);
  await exhaustFiles();
  try {
    expect(() => linkIdentity(lo)).toThrow('EMFILE');
  } finally {
    restoreFiles();
  }
  expect(linkIdentity(lo)).toBe(identity);
});
