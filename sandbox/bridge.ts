/** A bridge in the host's namespace, with dnsmasq as lxc-net runs it, and containers on it. */
import { join } from 'node:path';
import type { Child } from './child.ts';
import { makeFolder } from './clean-up.ts';
import type { Namespace } from './namespace.ts';
import { runIp } from './wire.ts';

export const BRIDGE = 'br0';
/** The host's on the bridge, inside what the outside routes to the host; IPv6 needs `BRIDGE_ROUTES` for that. */
export const BRIDGE_ADDRESSES = ['198.51.100.129/25', '2001:db8:200::1/64'] as const;
/** For `HostOptions.routedPrefixes`. */
export const BRIDGE_ROUTES = ['198.51.100.0/24', '2001:db8:100::/64', '2001:db8:200::/64'] as const;
const RANGE = '198.51.100.200,198.51.100.219';

/** Up, with the host's addresses; it goes with the namespace. */
export async function createBridge(
  host: Namespace,
  {
    name = BRIDGE,
    addresses = BRIDGE_ADDRESSES,
  }: { readonly name?: string; readonly addresses?: readonly string[] } = {},
): Promise<void> {
  await runIp(host, [
    `link add ${name} type bridge`,
    `link set dev ${name} up`,
    ...addresses.map((address) => `address add ${address} dev ${name}${address.includes(':') ? ' nodad' : ''}`),
  ]);
}

export interface Leases {
  /** For `leases:` in routewall.yaml. */
  readonly pattern: string;
  readonly file: string;
}

/** A place for leases, before there is a server. */
export async function makeLeases(bridge = BRIDGE): Promise<Leases> {
  const folder = await makeFolder();
  return { pattern: join(folder, 'dnsmasq.BRIDGE.leases'), file: join(folder, `dnsmasq.${bridge}.leases`) };
}

/** A server that leases addresses of `BRIDGE_ADDRESSES`' network; it stops with the place. */
export async function startDnsmasq(
  host: Namespace,
  { file, bridge = BRIDGE, range = RANGE, seconds = 3600 }: DnsmasqOptions,
): Promise<Child> {
  const child = host.spawn('dnsmasq', [
    ...['--keep-in-foreground', '--conf-file=/dev/null', '--no-hosts', '--no-resolv', '--no-ping', '--port=0'],
    ...['--user=root', '--log-facility=-', '--log-dhcp', '--pid-file', '--bind-interfaces', '--except-interface=lo'],
    ...[`--interface=${bridge}`, `--dhcp-range=${range},${seconds}`, `--dhcp-leasefile=${file}`],
    '--dhcp-authoritative',
  ]);
  await child.waitForLine(/DHCP, .*range/);
  return child;
}

export interface DnsmasqOptions {
  readonly file: string;
  readonly bridge?: string;
  /** `FIRST,LAST` */
  readonly range?: string;
  readonly seconds?: number;
}

/** A NIC's lines: addresses without prefix length (none: by DHCP), the bridge's own as gateways. */
export function bridgedNic(
  addresses: readonly string[],
  { index = 0, bridge = BRIDGE, hwaddr, extra = [] }: BridgedNicOptions = {},
): string[] {
  const key = `lxc.net.${index}`;
  const lines = addresses.flatMap((address) => {
    const family = address.includes(':') ? 6 : 4;
    const [own = '', length = ''] = (BRIDGE_ADDRESSES[family === 6 ? 1 : 0] ?? '').split('/');
    return [`${key}.ipv${family}.address = ${address}/${length}`, `${key}.ipv${family}.gateway = ${own}`];
  });
  return [
    ...[`${key}.type = veth`, `${key}.link = ${bridge}`, `${key}.flags = up`, `${key}.name = eth${index}`],
    ...(hwaddr === undefined ? [] : [`${key}.hwaddr = ${hwaddr}`]),
    ...lines,
    ...extra.map((line) => `${key}.${line}`),
  ];
}

export interface BridgedNicOptions {
  readonly index?: number;
  readonly bridge?: string;
  /** Absent: whatever the kernel gives. */
  readonly hwaddr?: string;
  readonly extra?: readonly string[];
}

/** For `createContainer`: asks for an address until there is one, goes on renewing it, and writes it to /run/leased. */
export const UDHCPC = `cat >/run/udhcpc.sh <<'END'
#!/bin/busybox sh
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
busybox ip address replace $ip/$mask dev $interface
busybox ip route replace default via $router
echo $ip >/run/leased
END
busybox chmod 755 /run/udhcpc.sh
busybox udhcpc -f -i eth0 -s /run/udhcpc.sh -t 1000 -T 1`;
