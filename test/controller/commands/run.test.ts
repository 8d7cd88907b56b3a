/** A command that takes too long is an error in time, though what it started holds its pipes open. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { CommandError, run } from '../../../controller/commands/run.ts';
import { cleanUp, makeFolder } from '../../../sandbox/clean-up.ts';
import { eventually } from '../../../sandbox/eventually.ts';

afterEach(cleanUp);

test('a command is given up in time with the child that it waits for', async () => {
  const file = join(await makeFolder(), 'pid');
  // As a shell that waits for an nft that hangs.
  const late = run('sh', ['-c', 'sleep 1000 & echo $! >$0; wait', file], { timeout: 1_000 });
  await expect(late).rejects.toThrow(CommandError);
  await expect(late).rejects.toThrow('sh: timed out after 1000 ms');
  const pid = (await readFile(file, 'utf8')).trim();
  await eventually('its child is gone', () => !existsSync(`/proc/${pid}`));
});

test('one that ends before is answered for', async () => {
  expect(await run('sh', ['-c', 'cat; exit 3'], { input: 'text', timeout: 20_000 })).toMatchObject({
    ...{ stdout: 'text', exitCode: 3 },
  });
});
