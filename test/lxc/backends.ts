/** What the same suite is run with: each backend as a configuration asks for it, and the host that has it. */
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../../sandbox/clean-up.ts';

export interface TestedBackend {
  readonly name: 'nftables' | 'iptables-nft' | 'iptables-legacy';
  /** As routewall.yaml has it. */
  readonly backend: 'nftables' | 'iptables';
  /** For the daemon and the command line. */
  readonly env: () => Promise<Readonly<Record<string, string>>>;
}

/** `iptables` is a link of Debian's alternatives: here the first of that name in the path. */
async function pathWith(variant: 'nft' | 'legacy'): Promise<Readonly<Record<string, string>>> {
  const folder = await makeFolder();
  const file = join(folder, 'iptables');
  await writeFile(file, `#!/bin/sh\nexec iptables-${variant} "$@"\n`);
  await chmod(file, 0o755);
  return { PATH: `${folder}:${process.env['PATH'] ?? ''}` };
}

export const BACKENDS: readonly TestedBackend[] = [
  { name: 'nftables', backend: 'nftables', env: async () => ({}) },
  { name: 'iptables-nft', backend: 'iptables', env: () => pathWith('nft') },
  { name: 'iptables-legacy', backend: 'iptables', env: () => pathWith('legacy') },
];
