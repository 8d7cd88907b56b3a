import { expect, it } from 'vitest';
import { CommandError, type Run } from '../../../controller/commands/run.ts';
import { linkIdentity, readRuntime } from '../../../controller/host/container-runtime.ts';
import { describeContainer } from '../../../controller/host/containers.ts';
import { parseText } from '../../watchers/lxc-config/memory-files.ts';
import { exhaustFiles, restoreFiles } from '../out-of-files.ts';
import { veth } from '../states.ts';

const question = (text: string) => {
  const lxc = parseText(text);
  const container = describeContainer('/var/lib/lxc', 'web', lxc);
  return { lxcPath: '/var/lib/lxc', name: 'web', lxc, container, before: undefined };
};
const NIC = 'lxc.net.0.type = veth\n';
it('asks nobody about one with whose configuration nothing can be started', async () => {
  const never = async () => Promise.reject(new Error('asked'));
  expect(await readRuntime(never, question(`${NIC}lxc.include = /lxc/web/config`))).toMatchObject({ state: 'STOPPED' });
});

it('does not take a program that is missing for an answer', async () => {
  const missing: Run = async () => Promise.reject(new CommandError('perl: ENOENT'));
  await expect(readRuntime(missing, question(NIC))).rejects.toThrow('ENOENT');
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
