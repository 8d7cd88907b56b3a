/** A command that takes too long is an error in time, though what it started holds its pipes open. */
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { CommandError, run, startTalker, streamLines } from '../../../controller/commands/run.ts';
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

test('commands start where whoever calls may not stand', async () => {
  const before = process.cwd();
  const folder = await makeFolder();
  process.chdir(folder);
  try {
    await rm(folder, { recursive: true });
    expect((await run('pwd', [])).stdout).toBe('/\n');
    const lines: string[] = [];
    for await (const some of streamLines('pwd', [], '')) lines.push(...some);
    expect(lines).toEqual(['/']);
    const said = new Promise((resolve) => startTalker('pwd', []).onOutput((data) => resolve(String(data))));
    expect(await said).toBe('/\n');
  } finally {
    process.chdir(before);
  }
});
