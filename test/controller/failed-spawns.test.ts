/** Without a descriptor left, no child can be started, and whoever wanted it is told so; nothing more happens. */
import { afterEach, expect, it } from 'vitest';
import { openChannel } from '../../controller/commands/channel.ts';
import { CommandError, run, startResident, streamLines } from '../../controller/commands/run.ts';
import { messageOf } from '../../controller/log.ts';
import { NO_PANIC, readPanic } from '../../controller/panic/panic-state.ts';
import { outliveFailedSpawns } from '../../watchers/failed-spawns.ts';
import { lineProcess } from '../../watchers/line-process.ts';
import { exhaustFiles, releaseFiles, restoreFiles } from './out-of-files.ts';

afterEach(restoreFiles);

it('outlives it, in commands, residents, streams and watched children, and starts them again later', async () => {
  outliveFailedSpawns();
  await exhaustFiles();
  const failure: unknown = await run('true', []).catch((cause: unknown) => cause);
  expect(failure).toBeInstanceOf(CommandError);
  expect(messageOf(failure)).toBe('true: could not be started: too many open files (EMFILE or ENFILE)');
  const channel = openChannel({
    ...{ command: 'cat', args: [], start: startResident, timeout: 60_000 },
    complaintAbout: (word) => new RegExp(word),
  });
  await expect(channel.send('x')).rejects.toThrow('cat: no answer: cat: could not be started');
  const stream = streamLines('true', [], '')[Symbol.asyncIterator]();
  await expect(stream.next()).rejects.toThrow('true: could not be started');
  const lines: string[] = [];
  const failures: string[] = [];
  const child = lineProcess({
    ...{ command: 'echo', args: ['here'], backoff: { firstMs: 20, maxMs: 20, healthyMs: 60_000 } },
    onStart: () => undefined,
    onLine: (line) => lines.push(line),
    onFailure: ({ cause }) => failures.push(messageOf(cause)),
  });
  child.start();
  await expect.poll(() => failures.length, { timeout: 20_000 }).toBeGreaterThan(1);
  releaseFiles();
  await expect.poll(() => lines, { timeout: 20_000 }).toContain('here');
  await child.stop();
  expect(failures[0]).toBe('echo: could not be started: too many open files (EMFILE or ENFILE)');
  expect(await run('true', [])).toMatchObject({ exitCode: 0 });
});

it('takes a panic file that it has no descriptor to read for what it was, and for a seal where it never was read', async () => {
  await exhaustFiles();
  const known = await readPanic('/nonexistent', NO_PANIC);
  const unread = await readPanic('/nonexistent');
  releaseFiles();
  expect([known, unread.all === null]).toEqual([NO_PANIC, false]);
});
