/** What a disk without room refused to keep is kept once there is some: nothing else need happen, and nothing half stays behind. */
import { existsSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { atEnd, cleanUp, makeFolder } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { run, runForResult } from '../../sandbox/run.ts';
import { addressesOf, nic, OPEN, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

/** Before any namespace's processes: each of them copies the mounts of this one. */
async function makeDisk(): Promise<string> {
  const folder = await makeFolder();
  await run('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=700', 'tmpfs', folder]);
  atEnd(`unmount ${folder}`, async () => void (await run('umount', ['-l', folder])));
  return folder;
}

test('a panic, last good policies, revisions and the rules for the next boot', async () => {
  const disk = await makeDisk();
  const routewall = await startRoutewall({ config: 'resync: 86400\n', env: { STATE_DIRECTORY: disk } });
  const { daemon } = routewall;
  await daemon.waitForLog(/revision 1 is kept/);
  await eventually('the rules are kept', () => existsSync(join(disk, 'last-good.nft')));
  await runForResult('dd', ['if=/dev/zero', `of=${join(disk, 'fill')}`, 'bs=4k']);

  await routewall.start(await routewall.addContainer('one', { lines: nic(addressesOf(20)), policy: OPEN }));
  const { exitCode } = await routewall.cli('panic', 'on', '-n', 'one');
  expect(exitCode).not.toBe(0);
  for (const refused of [/last good policies .*ENOSPC/, /panic: .*ENOSPC/, /revisions: .*ENOSPC/, /next boot .*ENOSPC/])
    await daemon.waitForLog(refused);
  await nothingHalfStays(disk);
  await routewall.statusTells(/^what the next start goes by: unfinished since/m);
  // By then all has been tried more than once.
  await sleep(8_000);

  await rm(join(disk, 'fill'));
  await daemon.waitForLog(/revision 2 is kept/, 60_000);
  const holds = async (name: string, text: string): Promise<boolean> =>
    existsSync(join(disk, name)) && (await readFile(join(disk, name), 'utf8')).includes(text);
  for (const [name, text] of [
    ['panic.json', '"one"'],
    ['last-good/one.json', 'egress'],
    ['last-good.nft', '198.51.100.20'],
    ['last-good.nft', 'routewall_panic'],
  ] as const)
    await eventually(`${name} holds ${text}`, () => holds(name, text), 60_000);
  await eventually('the status says no more of it', async () => {
    const { stdout } = await routewall.cli('status');
    return !stdout.includes('unfinished');
  });
  const told = daemon.log().flatMap((line) => /error: (.*ENOSPC.*)/.exec(line)?.[1] ?? []);
  expect(told.sort()).toEqual([...new Set(told)].sort());
  await nothingHalfStays(disk);
});

/** What was begun, and isn't to be what it was meant for; another try may be at it. */
const nothingHalfStays = (folder: string): Promise<boolean> =>
  eventually('nothing half stays', async () => {
    const names = await readdir(folder, { recursive: true });
    return !names.some((name) => /\.new(\/|$)/.test(name));
  });
