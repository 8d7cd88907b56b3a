import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readLxcTree } from '../../../watchers/lxc-config/lxc-tree.ts';
import { parseLxcConfig } from '../../../watchers/lxc-config/parse-config.ts';
import { realFiles } from '../../../watchers/lxc-config/real-files.ts';

const MKFIFO = 'mkfifo';
let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lxc-config-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const container = (name: string | Buffer): void => {
  const path = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(name)]);
  mkdirSync(path);
  writeFileSync(Buffer.concat([path, Buffer.from('/config')]), '');
};

describe('the containers below an LXC path', () => {
  it('keep whatever name they have', () => {
    const names = [
      'web',
      'a b',
      'quo"te',
      "it's",
      'x;rm -rf $(y)',
      'new\nline',
      'ünï-名前',
      '\ufeffbom',
      '*',
      '-P',
      'config',
    ];
    for (const name of names) container(name);
    expect(readLxcTree(folder)).toEqual([...names].sort());
  });

  it('are only folders with a file named config, without a leading dot and in UTF-8', () => {
    container('good');
    container('.hidden');
    container(Buffer.from([0x62, 0xff, 0x64]));
    mkdirSync(join(folder, 'empty'));
    mkdirSync(join(folder, 'odd/config'), { recursive: true });
    writeFileSync(join(folder, 'lxc-monitord.log'), '');
    symlinkSync('nowhere', join(folder, 'dangling'));
    symlinkSync('circle', join(folder, 'circle'));
    symlinkSync('good', join(folder, 'linked'));
    expect(readLxcTree(folder)).toEqual(['good', 'linked']);
  });

  it('are also those whose config is no file, or can not be read: that has to be told', async () => {
    for (const name of ['pipe', 'nowhere', 'circle', 'folder']) mkdirSync(join(folder, name));
    await execa(MKFIFO, [join(folder, 'pipe/config')]);
    symlinkSync('gone', join(folder, 'nowhere/config'));
    symlinkSync('config', join(folder, 'circle/config'));
    symlinkSync('/', join(folder, 'folder/config'));
    expect(readLxcTree(folder)).toEqual(['circle', 'nowhere', 'pipe']);
  });

  it('are none where the path is missing', () => {
    expect(readLxcTree(join(folder, 'nowhere'))).toEqual([]);
  });

  it('can not be told where the path is a file', () => {
    writeFileSync(join(folder, 'file'), '');
    expect(() => readLxcTree(join(folder, 'file'))).toThrow(/^reading .*ENOTDIR/);
  });
});

describe('the real disk', () => {
  it('answers undefined for what is missing or of the other kind', () => {
    writeFileSync(join(folder, 'file'), 'text');
    expect(realFiles.read(join(folder, 'file'))).toBe('text');
    expect(realFiles.read(folder)).toBeUndefined();
    expect(realFiles.read(join(folder, 'nowhere'))).toBeUndefined();
    expect(realFiles.read(join(folder, 'file/below'))).toBeUndefined();
    expect(realFiles.list(folder)).toEqual(['file']);
    expect(realFiles.list(join(folder, 'file'))).toBeUndefined();
    expect(realFiles.list(join(folder, 'nowhere'))).toBeUndefined();
  });

  it('reads /dev/null as empty and never waits for a FIFO', async () => {
    await execa(MKFIFO, [join(folder, 'fifo')]);
    writeFileSync(join(folder, 'config'), `lxc.include = /dev/null\nlxc.include = ${folder}/fifo\nlxc.uts.name = x`);
    const config = parseLxcConfig(join(folder, 'config'), realFiles);
    expect(config.utsName).toBe('x');
    expect(config.problems).toMatchObject([{ line: 2, message: "can't be read: not a regular file" }]);
  });

  it('turns a file too large to be a configuration into a problem', () => {
    const file = join(folder, 'config');
    writeFileSync(file, '');
    truncateSync(file, 2 ** 30);
    expect(parseLxcConfig(file, realFiles).problems).toMatchObject([
      { message: expect.stringContaining('larger than') },
    ]);
  });

  it('ends with a file that never ends, and with too many that are long', () => {
    const long = join(folder, 'long');
    writeFileSync(long, `# ${'x'.repeat(1_000_000)}\n`);
    writeFileSync(join(folder, 'config'), `lxc.include = ${long}\n`.repeat(100));
    const { problems } = parseLxcConfig(join(folder, 'config'), realFiles);
    expect(problems[0]).toMatchObject({ line: 9, message: expect.stringContaining('more than 8192 KiB') });
    // A regular file for the kernel, without a size.
    expect(realFiles.read('/proc/self/status')).toContain('Name:');
  });

  it('survives links in a circle, which LXC refuses', () => {
    symlinkSync('circle', join(folder, 'circle'));
    writeFileSync(join(folder, 'config'), `lxc.include = ${folder}/circle`);
    expect(parseLxcConfig(join(folder, 'config'), realFiles).problems).toMatchObject([
      { line: 1, message: expect.stringContaining('ELOOP') },
    ]);
  });

  it('replaces bytes that are no UTF-8, and goes on', () => {
    writeFileSync(join(folder, 'config'), Buffer.from('lxc.uts.name = a\xff\nlxc.group = g', 'latin1'));
    expect(parseLxcConfig(join(folder, 'config'), realFiles)).toMatchObject({ utsName: 'a\ufffd', groups: ['g'] });
  });
});
