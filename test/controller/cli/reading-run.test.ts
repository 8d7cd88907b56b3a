/** What a command of ours reads is started by a small process, which ends with the command. */
import { existsSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { openReadingRun } from '../../../controller/cli/reading-run.ts';
import { CommandError } from '../../../controller/commands/run.ts';
import { atEnd, cleanUp } from '../../../sandbox/clean-up.ts';
import { eventually } from '../../../sandbox/eventually.ts';

afterEach(cleanUp);

test('commands are started by one small process, which ends when it is told', async () => {
  const { run, stop } = openReadingRun();
  atEnd('the process', async () => stop());
  const parentOf = async (): Promise<string> => (await run('sh', ['-c', 'echo $PPID'])).stdout.trim();
  const [one, other] = await Promise.all([parentOf(), parentOf()]);
  expect(one).toBe(other);
  expect(one).not.toBe(String(process.pid));
  const waiting = run('sleep', ['1000']);
  stop();
  await expect(waiting).rejects.toThrow(CommandError);
  await eventually('it is gone', () => !existsSync(`/proc/${one}`));
});

test('nothing is started before there is a command', () => {
  expect(() => openReadingRun().stop()).not.toThrow();
});
