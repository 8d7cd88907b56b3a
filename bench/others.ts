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

/** Their files; `policyOf` by number where they shall not have one of `POLICIES` each. */
export async function writeOthers(
  { lxcPath }: Host,
  policyFolder: string,
  count: number,
  policy = (index: number): string => policyOf(8000 + (index % POLICIES)),
): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    const folder = join(lxcPath, `other${index}`);
    await mkdir(folder);
    await writeFile(join(folder, 'config'), nic([addressOf(index)], { extra: [`veth.pair = vo${index}`] }).join('\n'));
    await writeFile(join(policyFolder, 'containers', `other${index}.yaml`), policy(index));
  }
}

const pairs = (count: number): number[] => Array.from({ length: count / 2 }, (_, index) => 2 * index);

/** For `ip -batch`: to the daemon, a veth that is there is a container that runs. Two of them are one pair. */
export const startLines = (count: number): string =>
  pairs(count)
    .map((index) => `link add vo${index} up type veth peer name vo${index + 1}\nlink set vo${index + 1} up\n`)
    .join('');

/** For a shell: what a routed veth with an IPv4 address needs to be set. */
export const settingLines = (count: number): string =>
  Array.from({ length: count }, (_, index) => `echo 1 >/proc/sys/net/ipv4/conf/vo${index}/forwarding\n`).join('');

export const stopLines = (count: number): string =>
  pairs(count)
    .map((index) => `link del vo${index}\n`)
    .join('');

/** The daemon takes them for running: their configurations name veths that are there. */
export async function makeOthers(bed: Host, policyFolder: string, count: number): Promise<void> {
  await writeOthers(bed, policyFolder, count);
  if (count > 0) await bed.host.run('ip', ['-batch', '-'], { input: startLines(count), timeout: 600_000 });
}
