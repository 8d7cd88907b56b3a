/** Files that are none, never end, belong to others or explode when they are read; what the daemon says of each. */
import { execFileSync } from 'node:child_process';
import { chmod, chown, mkdir, symlink, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname } from 'node:path';

/** `make` makes the file, whose folder is there; it says the `reason` of it, at a place in it. */
export interface Malformed {
  readonly what: string;
  readonly make: (file: string) => unknown;
  readonly reason: RegExp;
}

const OPEN = 'egress: { default: allow }\n';

const socket = (file: string): Promise<unknown> =>
  new Promise((resolve) => {
    const server = createServer().unref();
    server.listen(file, () => resolve(server));
  });

async function huge(file: string): Promise<void> {
  await writeFile(file, '');
  await truncate(file, 100_000_000);
}

/** Each line means the one before ten times. */
const yamlBomb = `a0: &a0 [x]\n${Array.from({ length: 30 }, (_, at) => `a${at + 1}: &a${at + 1} [${`*a${at}, `.repeat(10)}]\n`).join('')}`;

async function includeBomb(file: string): Promise<void> {
  const level = (at: number): string => `${file}.${at}`;
  for (let at = 0; at < 12; at += 1) await writeFile(level(at), `lxc.include = ${level(at + 1)}\n`.repeat(10));
  await writeFile(level(12), '#\n');
  await writeFile(file, `lxc.include = ${level(0)}\n`);
}

const ofNobody = async (file: string): Promise<void> => {
  await writeFile(file, OPEN);
  await chown(file, 65_534, 65_534);
};
const openTo = (mode: number) => async (file: string) => {
  await writeFile(file, OPEN);
  await chown(file, 0, 65_534);
  await chmod(file, mode);
};

export const POLICY_FILES: readonly Malformed[] = [
  { what: 'a FIFO', make: (file) => execFileSync('mkfifo', [file]), reason: /no regular file/ },
  { what: 'a socket', make: socket, reason: /ENXIO|no regular file/ },
  { what: 'a device', make: (file) => execFileSync('mknod', [file, 'c', '1', '5']), reason: /no regular file/ },
  { what: 'a link to a device', make: (file) => symlink('/dev/zero', file), reason: /no regular file/ },
  { what: 'a link to itself', make: (file) => symlink(file, file), reason: /ELOOP/ },
  { what: 'a link to nothing', make: (file) => symlink('nowhere', file), reason: /link to a file that does not exist/ },
  { what: 'a folder', make: (file) => mkdir(file), reason: /no regular file/ },
  { what: '100 MB', make: huge, reason: /larger than/ },
  { what: "somebody else's", make: ofNobody, reason: /not trusted: it belongs to user 65534/ },
  { what: 'what all can write', make: openTo(0o646), reason: /not trusted: all can write/ },
  { what: 'what a group can write', make: openTo(0o664), reason: /not trusted: group 65534 can write/ },
  { what: 'a bomb of aliases', make: (file) => writeFile(file, yamlBomb), reason: /aliases/ },
  { what: 'deep lists', make: (file) => writeFile(file, '['.repeat(100_000)), reason: /nested too deeply/ },
  {
    what: 'deep mappings',
    make: (file) => writeFile(file, Array.from({ length: 600 }, (_, at) => `${' '.repeat(at)}a:\n`).join('')),
    reason: /nested too deeply/,
  },
  { what: 'nothing but zeros', make: (file) => writeFile(file, Buffer.alloc(10_000)), reason: /must be a mapping/ },
  {
    what: 'one long line',
    make: (file) => writeFile(file, `egress: ${'x'.repeat(200_000)}\n`),
    reason: /must be a mapping/,
  },
  {
    what: 'many documents',
    make: (file) => writeFile(file, `---\n${OPEN}`.repeat(5_000)),
    reason: /one file holds one document/,
  },
];

export const LXC_FILES: readonly Malformed[] = [
  { what: 'a FIFO', make: (file) => execFileSync('mkfifo', [file]), reason: /not a regular file/ },
  { what: 'a socket', make: socket, reason: /ENXIO|not a regular file/ },
  { what: 'a device', make: (file) => execFileSync('mknod', [file, 'c', '1', '5']), reason: /not a regular file/ },
  { what: 'a link to a device', make: (file) => symlink('/dev/zero', file), reason: /not a regular file/ },
  { what: 'a link to itself', make: (file) => symlink('config', file), reason: /ELOOP/ },
  { what: 'a link to nothing', make: (file) => symlink('nowhere', file), reason: /there is no such file/ },
  { what: '100 MB', make: huge, reason: /larger than/ },
  {
    what: 'garbage',
    make: (file) => writeFile(file, 'lxc.\xff = \x01\nlxc.net.0.type\n', 'latin1'),
    reason: /lacks its =/,
  },
  { what: 'itself', make: (file) => writeFile(file, `lxc.include = ${file}\n`), reason: /includes itself/ },
  { what: 'a bomb of includes', make: includeBomb, reason: /more than 1000 includes/ },
  {
    what: 'a FIFO by name',
    make: async (file) => {
      execFileSync('mkfifo', [`${file}.pipe`]);
      await writeFile(file, `lxc.include = ${dirname(file)}/config.pipe\n`);
    },
    reason: /not a regular file/,
  },
  {
    what: 'a device by name',
    make: (file) => writeFile(file, 'lxc.include = /dev/zero\n'),
    reason: /not a regular file/,
  },
];
