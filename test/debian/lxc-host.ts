/** What the tests here have in common: a Debian host with other people's network state on it, and the installed program. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createDebianContainer, type DebianContainer } from '../../sandbox/debian-container.ts';
import { bootDebianHost, type DebianHost } from '../../sandbox/debian-host.ts';
import type { Release } from '../../sandbox/debian-tree.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { fieldOf } from '../../sandbox/json.ts';
import { readSnapshot } from '../../sandbox/snapshot.ts';
import { addressesOf, nic } from '../lxc/routewall.ts';
import { aptInstall, packageFile } from './package.ts';

export const RELEASES: readonly { readonly release: Release }[] = [{ release: 'bookworm' }, { release: 'trixie' }];

/** Of Debian's own nftables.service, which begins with a flush of everybody's rules. */
const NFTABLES_CONF = `#!/usr/sbin/nft -f
flush ruleset
table inet somebody_else {
  set blocked { type ipv4_addr; elements = { 203.0.113.66 }; }
  chain input { type filter hook input priority filter; ip saddr @blocked drop; tcp dport 23 drop; }
}
`;

/** Boots with a foreign table, route, neighbour proxies and sysctl, all of which come back with each boot. */
export async function bootForeignHost(release: Release): Promise<DebianHost> {
  const host = await bootDebianHost({
    release,
    files: { 'etc/nftables.conf': NFTABLES_CONF },
    up: [
      'ip route add 198.51.100.200/32 dev eth0 proto static',
      'ip neigh add proxy 192.0.2.77 dev eth0',
      'ip -6 neigh add proxy 2001:db8:0:1::77 dev eth0',
      'sysctl -q -w net/ipv4/conf/eth0/log_martians=1',
    ],
  });
  await host.system.run('systemctl', ['enable', '--now', 'nftables.service']);
  return host;
}

/** The same with the package on it and its service running. */
export async function bootServingHost(release: Release): Promise<DebianHost> {
  const host = await bootForeignHost(release);
  await aptInstall(host, await packageFile());
  await expectActive(host, 'routewall.service');
  return host;
}

/** All network state of the host as its own programs tell it, once addresses have settled. */
export async function readHostState(host: DebianHost): Promise<string> {
  const tentative = async (): Promise<string> => (await host.system.run('ip', ['address', 'show', 'tentative'])).stdout;
  await eventually('no address is tentative', async () => (await tentative()) === '');
  return await readSnapshot(host.system);
}

export interface Spec {
  readonly last: number;
  readonly policy?: string;
  /** Of LXC, besides the first NIC. */
  readonly lines?: readonly string[];
  /** Keys of the first NIC. */
  readonly extra?: readonly string[];
  readonly command?: string;
}

/** Its policy comes first; it doesn't run yet. */
export async function addContainer(
  host: DebianHost,
  name: string,
  { last, policy, lines = [], extra = [], command = '' }: Spec,
): Promise<DebianContainer> {
  if (policy !== undefined) await writePolicy(host, name, policy);
  return await createDebianContainer(host, {
    name,
    config: [...nic(addressesOf(last), { extra }), ...lines],
    command,
  });
}

export const writePolicy = (host: DebianHost, name: string, policy: string): Promise<void> =>
  host.write(`/etc/routewall/containers/${name}.yaml`, policy);

/** Waits until `routewall preview` finds nothing to change: the kernel holds what the files say. */
export async function waitUntilInForce(host: DebianHost): Promise<void> {
  let said = '';
  const isInForce = async (): Promise<boolean> => {
    const { stdout, stderr } = await host.system.runForResult('routewall', ['preview', '--json']);
    said = `${stdout}\n${stderr}`;
    return fieldOf(JSON.parse(stdout), 'changed') === false;
  };
  try {
    await eventually('the kernel holds what the policies say', isInForce, 20_000);
  } catch (cause) {
    throw new Error(`not in force: ${said}\n${await journalOf(host, 'routewall.service')}`, { cause });
  }
}

/** Throws with the unit's journal unless it is active. */
export async function expectActive(host: DebianHost, unit: string): Promise<void> {
  const { stdout } = await host.system.runForResult('systemctl', ['is-active', unit]);
  if (stdout !== 'active') throw new Error(`${unit} is ${stdout}\n${await journalOf(host, unit)}`);
}

async function journalOf(host: DebianHost, unit: string): Promise<string> {
  return (await host.system.runForResult('journalctl', ['-u', unit, '-n', '40', '--no-pager'])).stdout;
}

export async function mainPid(host: DebianHost): Promise<number> {
  const { stdout } = await host.system.run('systemctl', ['show', '-P', 'MainPID', 'routewall.service']);
  return Number(stdout);
}

/** Long enough for traffic to show what a change did to it. */
export const aMoment = (): Promise<void> => sleep(1_000);
