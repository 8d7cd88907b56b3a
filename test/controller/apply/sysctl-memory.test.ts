/** What the host's own settings were is known line by line, whatever the disk refuses. */
import { mkdir, mkdtemp, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { openSysctlMemory } from '../../../controller/apply/sysctl-memory.ts';

const drift = (key: string, actual: string, value: string) => ({ key, actual, value, reason: 'a test' });
const FORWARDING = drift('net/ipv4/conf/eth0/forwarding', '0', '1');
const FILTER = drift('net/ipv4/conf/eth0/rp_filter', '1', '2');
const NOBODYS: ReadonlySet<string> = new Set();

let folder: string;
let file: string;
const told = (): Promise<string> => readFile(file, 'utf8');

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'routewall-sysctls-'));
  file = join(folder, 'sysctls-before');
  return () => rm(folder, { recursive: true });
});

test('each once, with what it was first', async () => {
  await openSysctlMemory(folder)([FORWARDING], NOBODYS);
  const remember = openSysctlMemory(folder);
  await remember([{ ...FORWARDING, actual: '7' }, FILTER], NOBODYS);
  await remember([{ ...FILTER, actual: '7' }], NOBODYS);
  expect(await told()).toBe('net/ipv4/conf/eth0/forwarding 0 1\nnet/ipv4/conf/eth0/rp_filter 1 2\n');
});

test.each(['net/ipv4/conf/eth0/forw', 'net/ipv4/conf/eth0/forwarding', 'net/ipv4/conf/eth0/forwarding 0'])(
  'a line that ends as `%s` is none',
  async (part) => {
    await writeFile(file, `net/ipv4/conf/eth0/rp_filter 1 2\n${part}`);
    await openSysctlMemory(folder)([FORWARDING], NOBODYS);
    expect(await told()).toBe('net/ipv4/conf/eth0/rp_filter 1 2\nnet/ipv4/conf/eth0/forwarding 0 1\n');
  },
);

test('what is refused leaves all as it was, and is remembered the next time', async () => {
  const remember = openSysctlMemory(folder);
  await remember([FILTER], NOBODYS);
  const before = await told();
  // No file can come into a folder's place.
  await mkdir(`${file}.new`);
  await expect(remember([FORWARDING], NOBODYS)).rejects.toThrow();
  expect(await told()).toBe(before);
  await rmdir(`${file}.new`).catch(() => undefined);
  await remember([FORWARDING], NOBODYS);
  expect(await told()).toBe(`${before}net/ipv4/conf/eth0/forwarding 0 1\n`);
});
