/**
 * Containers that the daemon takes for running though nothing of them does: their configurations name veths that are
 * there. What a host with thousands costs can be seen so on a machine that doesn't carry them.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../sandbox/host.ts';
import { nic } from '../test/lxc/routewall.ts';

/** Distinct policies among the others. */
const POLICIES = 20;

export const policyOf = (port: number): string =>
  `egress:\n  default: reject\n  rules:\n    - allow: [dns, https]\n      to: internet\n` +
  `ingress:\n  rules:\n    - allow: tcp/${port}\n      from: any\n    - allow: ssh\n      from: lan\n`;

/** 198.18.0.0/15 is kept for benchmarks. */
const addressOf = (index: number): string => `198.${18 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;

/** The daemon takes them for running: their configurations name veths that are there. */
export async function makeOthers({ host, lxcPath }: Host, policyFolder: string, count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    const folder = join(lxcPath, `other${index}`);
    await mkdir(folder);
    await writeFile(join(folder, 'config'), nic([addressOf(index)], { extra: [`veth.pair = vo${index}`] }).join('\n'));
    await writeFile(join(policyFolder, 'containers', `other${index}.yaml`), policyOf(8000 + (index % POLICIES)));
  }
  const lines = Array.from({ length: count / 2 }, (_, index) => [
    `link add vo${2 * index} up type veth peer name vo${2 * index + 1}`,
    `link set vo${2 * index + 1} up`,
  ]).flat();
  if (count > 0) await host.run('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n`, timeout: 600_000 });
}
