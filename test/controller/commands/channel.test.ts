import { expect, it } from 'vitest';
import { openChannel } from '../../../controller/commands/channel.ts';
import type { Resident, StartResident } from '../../../controller/commands/run.ts';

/** Children that answer as they are told to. */
function children(answer: (text: string, child: number, say: (text: string) => void, end: () => void) => void) {
  const written: string[][] = [];
  const killed: number[] = [];
  const start: StartResident = () => {
    const number = written.push([]) - 1;
    let say: (text: string) => void = () => undefined;
    let end: (cause: Error) => void = () => undefined;
    const resident: Resident = {
      pid: 100 + number,
      write: (text) => {
        written[number]?.push(text);
        queueMicrotask(() => answer(text, number, say, () => end(new Error('died'))));
      },
      onErrorOutput: (listener) => {
        say = listener;
      },
      onEnd: (listener) => {
        end = listener;
      },
      kill: () => void killed.push(number),
    };
    return resident;
  };
  return { start, written, killed };
}

const open = (start: StartResident, timeout = 10_000) =>
  openChannel({
    command: 'tool',
    args: [],
    start,
    timeout,
    complaintAbout: (word) => new RegExp(`unknown ${word}\\n`),
  });

const wordOf = (text: string): string => /routewall-done-\d+/.exec(text)?.[0] ?? '';

it('knows that a text was done by the complaint about the word after it', async () => {
  const { start, written } = children((text, _, say) => say(`unknown ${wordOf(text)}\n`));
  const channel = open(start);
  expect(channel.pid).toBeUndefined();
  const answers = await Promise.all(['one', 'two\n', 'three'].map((text) => channel.send(text)));
  expect(answers.map(({ output }) => output)).toEqual(['', '', '']);
  expect(written).toEqual([['one\nroutewall-done-1\n', 'two\nroutewall-done-2\n', 'three\nroutewall-done-3\n']]);
  expect(channel.pid).toBe(100);
});

it('gives the output before the complaint to the text that it is about, however it arrives', async () => {
  const { start } = children((text, _, say) => {
    const all = `Error: ${text.split('\n')[0]}\nunknown ${wordOf(text)}\n`;
    for (const letter of all) say(letter);
  });
  const channel = open(start);
  expect(await Promise.all(['a', 'b'].map(async (text) => (await channel.send(text)).output))).toEqual([
    'Error: a',
    'Error: b',
  ]);
});

it('fails the text under way when the child ends, and starts a new child for the next', async () => {
  const { start, written } = children((text, child, say, end) => {
    say(child === 0 ? 'out of memory\n' : `unknown ${wordOf(text)}\n`);
    if (child === 0) end();
  });
  const channel = open(start);
  const [first, second] = await Promise.allSettled([channel.send('a'), channel.send('b')]);
  expect(first).toMatchObject({ status: 'rejected', reason: { message: 'tool: no answer: died: out of memory' } });
  expect(second).toMatchObject({ status: 'fulfilled', value: { output: '' } });
  expect(written.map((texts) => texts.length)).toEqual([1, 1]);
});

it('gives a child up that says nothing in time, and listens to nothing that it says later', async () => {
  const late: (() => void)[] = [];
  const { start, killed } = children((text, child, say) => {
    if (child === 0) return void late.push(() => say('too late\n'));
    late[0]?.();
    say(`unknown ${wordOf(text)}\n`);
  });
  const channel = open(start, 20);
  await expect(channel.send('a')).rejects.toThrow('tool: no answer: nothing within 20 ms');
  expect(killed).toEqual([0]);
  expect((await channel.send('b')).output).toBe('');
});

it('kills its child when it is stopped, and fails what waits', async () => {
  const { start, killed } = children(() => undefined);
  const channel = open(start);
  const waiting = channel.send('a');
  await new Promise((resolve) => setImmediate(resolve));
  channel.stop();
  await expect(waiting).rejects.toThrow('stopped');
  expect(killed).toEqual([0]);
});

it('gives a child up that prints without end, and tells its first words alone', async () => {
  const { start, killed } = children((text, child, say) => {
    if (child > 0) return say(`unknown ${wordOf(text)}\n`);
    for (let count = 0; count < 100; count += 1) say('x'.repeat(1_000_000));
  });
  const channel = open(start);
  const failed = await channel.send('a').catch((cause: unknown) => cause);
  expect(String(failed)).toMatch(/^CommandError: tool: no answer: more than 64 MiB of output: x{1000}…$/);
  expect(killed).toEqual([0]);
  expect((await channel.send('b')).output).toBe('');
});
