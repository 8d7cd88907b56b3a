import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { LxcConfig } from '../../../watchers/lxc-config/config.ts';
import { parseLxcConfig } from '../../../watchers/lxc-config/parse-config.ts';
import { memoryFiles } from './memory-files.ts';

const RECORDED = join(import.meta.dirname, '../../../fixtures/lxc/recorded');
const SHARE = '/usr/share/lxc/config';

/** The recorded files, where LXC had them. */
function recordedFiles(): Record<string, string> {
  const files: Record<string, string> = {};
  for (const entry of readdirSync(RECORDED, { recursive: true, encoding: 'utf8' })) {
    if (!entry.endsWith('/config') && !/\.conf$|README$/.test(entry)) continue;
    if (entry === 'usr-share-lxc-config/common.conf.d') continue;
    const path = entry.startsWith('usr-share') ? entry.replace('usr-share-lxc-config', SHARE) : `/var/lib/lxc/${entry}`;
    files[path] = readFileSync(join(RECORDED, entry), 'utf8');
  }
  return files;
}

const files = recordedFiles();
const read = (path: string): LxcConfig => parseLxcConfig(path, memoryFiles(files));

describe('configurations that LXC itself wrote', () => {
  it.each(Object.keys(files).filter((path) => !path.endsWith('README')))('%s loads without a problem', (path) => {
    expect(read(path)).toMatchObject({ loadable: true, problems: [] });
  });

  it('have the NIC of the default configuration', () => {
    for (const name of ['busybox', 'none', 'debian']) {
      expect(read(`/var/lib/lxc/${name}/config`).nics).toMatchObject([
        { index: 0, type: 'veth', link: 'lxcbr0', flagsUp: true, vethMode: 'bridge', ipv4Addresses: [] },
      ]);
    }
  });

  it('have the routed NIC and the groups that were asked for', () => {
    const config = read('/var/lib/lxc/local/config');
    expect(config).toMatchObject({ utsName: 'local', groups: ['onboot', 'web'] });
    expect(config.nics).toMatchObject([
      {
        vethPair: 'veth-web',
        vethMode: 'router',
        link: 'eth0',
        l2proxy: true,
        ipv4Addresses: [{ text: '198.51.100.10' }],
      },
    ]);
  });

  it('depend on the files that the templates include', () => {
    expect(read('/var/lib/lxc/debian/config').files).toEqual([
      '/var/lib/lxc/debian/config',
      `${SHARE}/debian.common.conf`,
      `${SHARE}/common.conf`,
      `${SHARE}/common.conf.d`,
    ]);
  });
});
