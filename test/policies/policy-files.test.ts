import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { isPolicyFileName, policyFileKind } from '../../policies/policy-files.ts';
import { readPolicyFile, readPolicyFiles } from '../../policies/read-policy-files.ts';

describe('what a file is follows from its name', () => {
  test.each([
    ['containers/web.yaml', { kind: 'container', name: 'web', syntax: 'yaml' }],
    ['containers/a.b.yml', { kind: 'container', name: 'a.b', syntax: 'yaml' }],
    ['containers/web.json', { kind: 'container', name: 'web', syntax: 'json' }],
    ['containers/_default.yaml', { kind: 'default', syntax: 'yaml' }],
    ['profiles/base.yaml', { kind: 'profile', name: 'base', syntax: 'yaml' }],
    ['sets/mirrors.txt', { kind: 'set', name: 'mirrors', syntax: 'txt' }],
    ['sets/mirrors.json', { kind: 'set', name: 'mirrors', syntax: 'json' }],
    ['services.yml', { kind: 'services', syntax: 'yaml' }],
  ])('%s', (path, kind) => {
    expect(policyFileKind(path)).toEqual(kind);
    expect(isPolicyFileName(path)).toBe(true);
  });

  test.each([
    'containers/web.yaml~',
    'containers/web.yaml.swp',
    'containers/.web.yaml.swp',
    'containers/.#web.yaml',
    'containers/#web.yaml#',
    'containers/web.yaml.dpkg-new',
    'containers/web.yaml.dpkg-old',
    'containers/4913',
    'containers/web.txt',
    'containers/.yaml',
    'containers/old/web.yaml',
    'containers/web.constructor',
    'routewall.yaml',
    'web.yaml',
    'other/web.yaml',
    '',
  ])('%s is none of ours', (path) => {
    expect(isPolicyFileName(path)).toBe(false);
  });
});

describe('reading the folder', () => {
  const folders: string[] = [];
  const makeFolder = async () => {
    const folder = await mkdtemp(join(tmpdir(), 'policies-'));
    folders.push(folder);
    return folder;
  };
  afterEach(async () => {
    for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
  });

  test('gives every policy file by its path, and the error of those that cannot be read', async () => {
    const folder = await makeFolder();
    await mkdir(join(folder, 'containers/folder.yaml'), { recursive: true });
    await writeFile(join(folder, 'containers/web.yaml'), 'use: base');
    await writeFile(join(folder, 'containers/web.yaml~'), 'use: old');
    await writeFile(join(folder, 'services.yaml'), '');
    await symlink('nowhere', join(folder, 'containers/link.yaml'));
    const files = await readPolicyFiles(folder);
    expect([...files.keys()]).toEqual([
      'services.yaml',
      'containers/folder.yaml',
      'containers/link.yaml',
      'containers/web.yaml',
    ]);
    expect(files.get('containers/web.yaml')).toEqual(Buffer.from('use: base'));
    expect(files.get('containers/folder.yaml')).toEqual(new Error('it is no regular file'));
    expect(files.get('containers/link.yaml')).toEqual(new Error('it is a link to a file that does not exist'));
  });

  test('a folder or file that does not exist is nothing, and no error', async () => {
    const folder = await makeFolder();
    expect(await readPolicyFiles(join(folder, 'none'))).toEqual(new Map());
    expect(await readPolicyFile(folder, 'containers/web.yaml')).toBeUndefined();
  });
});
