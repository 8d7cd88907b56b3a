/** Which veths a running container has, where the kernel told that one of them is gone and still seems to have it. */
import { expect, it } from 'vitest';
import type { Run } from '../../../controller/commands/run.ts';
import type { RuntimeQuestion } from '../../../controller/host/container-runtime.ts';
import { describeContainer } from '../../../controller/host/containers.ts';
import { RuntimeReader } from '../../../controller/host/runtime-reader.ts';
import { parseText } from '../../watchers/lxc-config/memory-files.ts';
import { veth } from '../states.ts';

/** A link that exists wherever this runs. */
const LINK = veth('lo');

function reading(lines = '') {
  const lxc = parseText(`lxc.net.0.type = veth\n${lines}`);
  const container = describeContainer('/var/lib/lxc', 'web', lxc);
  const before = { state: 'RUNNING', veths: new Map(container.endpoints.map(({ key }) => [key, LINK])) };
  const question: RuntimeQuestion = { lxcPath: '/var/lib/lxc', name: 'web', lxc, container, before };
  const asked: string[] = [];
  const run: Run = async (command, args) => {
    // Where it is now isn't found.
    const isMonitor = command === 'perl' && !args.includes('process');
    asked.push(isMonitor ? 'its monitor' : command);
    return { stdout: isMonitor ? `2\n4242\n${LINK}\n` : '', stderr: '', exitCode: 0 };
  };
  const reader = new RuntimeReader({ run });
  return { reader, asked, id: container.id, read: () => reader.read(question, () => question) };
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
