/** A status that couldn't be written is written once it can be, without another pass. */
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import type { StatusFile } from '../../../controller/status/status-shape.ts';
import { StatusWriter } from '../../../controller/status/status-writer.ts';
import { eventually } from '../../../sandbox/eventually.ts';

let folder: string;
let said: string[];
let latest: Partial<StatusFile>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'routewall-status-'));
  said = [];
  latest = { since: 'before' };
  return () => rm(folder, { recursive: true });
});

/** Into a folder that isn't there, as where the disk refuses. */
const open = (): StatusWriter<Partial<StatusFile>> =>
  new StatusWriter({
    runDirectory: join(folder, 'away'),
    log: (_, text) => said.push(text),
    latest: () => latest,
    describe: async (source) => source as StatusFile,
  });

const written = async (): Promise<unknown> => JSON.parse(await readFile(join(folder, 'away', 'status.json'), 'utf8'));

it('is written as soon as it can be, and told once', async () => {
  const writer = open();
  writer.request();
  await writer.idle();
  latest = { since: 'now' };
  writer.request();
  await writer.idle();
  await mkdir(join(folder, 'away'));
  expect(await eventually('it is written', written)).toEqual({ since: 'now' });
  expect(said).toEqual([expect.stringContaining('ENOENT')]);
});
