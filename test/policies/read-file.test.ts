/** Files that are no policies, grow, wait, belong to others, or are larger than anything. */
import { execFileSync, spawn } from 'node:child_process';
import { chmod, chown, mkdir, open, rename, symlink, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { loadPolicies } from '../../policies/load-policies.ts';
import { readWholeFile } from '../../policies/read-file.ts';
import { readPolicyFile, readPolicyFiles } from '../../policies/read-policy-files.ts';
import { cleanUp, makeFolder } from '../../sandbox/clean-up.ts';

afterEach(cleanUp);

const isRoot = process.getuid?.() === 0;
const POLICY = 'egress: { default: allow }\n';

/** A policy folder as the package makes it; `containers/web.yaml` holds a policy. */
async function makePolicies(): Promise<{ folder: string; file: string }> {
  const folder = join(await makeFolder(), 'routewall');
  await mkdir(join(folder, 'containers'), { recursive: true });
  for (const path of [folder, join(folder, 'containers')]) await chmod(path, 0o755);
  const file = join(folder, 'containers/web.yaml');
  await writeFile(file, POLICY, { mode: 0o644 });
  return { folder, file };
}

const read = async (folder: string, strict = false): Promise<string> => {
  const content = readPolicyFile(folder, 'containers/web.yaml', strict);
  return content instanceof Error ? content.message : String(content);
};

const makeSocket = (file: string): Promise<unknown> =>
  new Promise((resolve) => {
    const server = createServer().unref();
    server.listen(file, () => resolve(server));
  });

async function makeHuge(file: string): Promise<void> {
  await writeFile(file, '');
  await truncate(file, 100_000_000);
}

describe('a policy that is no plain file', () => {
  test.each<[string, (file: string) => unknown, RegExp]>([
    ['a FIFO that nobody writes to', (file) => execFileSync('mkfifo', [file]), /no regular file/],
    ['a socket', makeSocket, /ENXIO/],
    ['a device without an end', (file) => symlink('/dev/zero', file), /no regular file/],
    ['a folder', (file) => mkdir(file), /no regular file/],
    ['a link to itself', (file) => symlink('web.yaml', file), /ELOOP/],
    ['a link to nothing', (file) => symlink('nowhere', file), /link to a file that does not exist/],
    ['a file of 100 MB', makeHuge, /larger than 16384 KiB/],
  ])('is an error, and holds nobody up: %s', async (_, make, message) => {
    const { folder, file } = await makePolicies();
    await rename(file, join(folder, 'containers/other.yaml'));
    await make(file);
    expect(await read(folder)).toMatch(message);
    const files = await readPolicyFiles(folder);
    expect(String(files.get('containers/other.yaml'))).toBe(POLICY);
    expect(loadPolicies(files).problems.map((problem) => problem.file)).toEqual(['containers/web.yaml']);
  });

  test('but a link out of the folder is followed: policies may be kept elsewhere', async () => {
    const { folder, file } = await makePolicies();
    const elsewhere = join(await makeFolder(), 'kept.yaml');
    await rename(file, elsewhere);
    await symlink(elsewhere, file);
    expect(await read(folder)).toBe(POLICY);
  });

  test('grows while it is read, and ends in an error before it fills the memory', async () => {
    const { file } = await makePolicies();
    const writer = spawn('sh', ['-c', 'for _ in $(seq 100); do head -c 100000 /dev/zero; done >> "$1"', 'sh', file]);
    const options = { maxBytes: 2_000_000, strict: false };
    const sizes: number[] = [];
    let refused = '';
    while (refused === '') {
      const content = readWholeFile(file, options);
      if (content instanceof Error) refused = content.message;
      else sizes.push(content.length);
    }
    writer.kill();
    expect(refused).toMatch(/grew|larger/);
    expect(Math.max(0, ...sizes)).toBeLessThanOrEqual(options.maxBytes);
  });

  test('leaves nothing open', async () => {
    const { folder, file } = await makePolicies();
    await rename(file, join(folder, 'containers/other.yaml'));
    execFileSync('mkfifo', [file]);
    const before = await open('/dev/null');
    for (let round = 0; round < 50; round += 1) await read(folder);
    const after = await open('/dev/null');
    expect(after.fd - before.fd).toBeLessThan(10);
    await Promise.all([before.close(), after.close()]);
  });
});

describe('a policy that others than root can write to', () => {
  type Paths = Awaited<ReturnType<typeof makePolicies>>;

  test('is read where nobody else can', async () => {
    expect(await read((await makePolicies()).folder, true)).toBe(POLICY);
  });

  async function linkIntoOpenFolder({ folder, file }: Paths): Promise<void> {
    const target = join(folder, '..', 'open');
    await mkdir(target);
    await chmod(target, 0o777);
    await rename(file, join(target, 'web.yaml'));
    await symlink(join(target, 'web.yaml'), file);
  }

  test.each<[string, (paths: Paths) => Promise<unknown>, RegExp]>([
    ['the file, by all', ({ file }) => chmod(file, 0o646), /all can write to it: chmod o-w .*web.yaml$/],
    ['its folder, by all', ({ folder }) => chmod(join(folder, 'containers'), 0o757), /chmod o-w .*containers$/],
    ['the folder above, by all', ({ folder }) => chmod(folder, 0o1777), /chmod o-w .*routewall$/],
    ["the folder of a link's target, by all", linkIntoOpenFolder, /chmod o-w .*open$/],
  ])('is refused: %s', async (_, spoil, message) => {
    const paths = await makePolicies();
    await spoil(paths);
    const said = await read(paths.folder, true);
    expect(said).toMatch(/^not trusted: /);
    expect(said).toMatch(message);
    const [problem] = loadPolicies(await readPolicyFiles(paths.folder, true)).problems;
    expect(problem?.message).toBe(said);
    // A draft of one's own may be kept as one likes.
    expect(await read(paths.folder)).toBe(POLICY);
  });

  test.runIf(isRoot)('is refused where it belongs to somebody else, or to a group that can write', async () => {
    const { folder, file } = await makePolicies();
    await chown(file, 65_534, 0);
    expect(await read(folder, true)).toMatch(/it belongs to user 65534, and only root's is enforced: chown root/);
    await chown(file, 0, 65_534);
    await chmod(file, 0o664);
    expect(await read(folder, true)).toMatch(/group 65534 can write to it: chmod g-w/);
    await chown(file, 0, 0);
    expect(await read(folder, true)).toBe(POLICY);
  });
});
