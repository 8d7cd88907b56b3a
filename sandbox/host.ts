/** An LXC host as a network namespace, linked by its uplink to another namespace that is the rest of the world. */
import { makeFolder } from './clean-up.ts';
import { createNamespace, type Namespace, setSysctls } from './namespace.ts';
import { createWire, runIp } from './wire.ts';

export interface HostOptions {
  /** The host's default routes (both families) through the outside; `true` by default. */
  readonly defaultRoute?: boolean;
  /** Prefixes that the outside reaches through the host; see `CONTAINER_PREFIXES`. */
  readonly routedPrefixes?: readonly string[];
  /** Addresses on the outside's loopback that stand for the internet; see `INTERNET`. */
  readonly internet?: readonly string[];
  /** The host's, over `HOST_SYSCTLS`. */
  readonly sysctls?: Readonly<Record<string, string>>;
}

export interface Host {
  /** The LXC host itself: a router with the uplink `eth0`. All lxc-* commands run here. */
  readonly host: Namespace;
  /** The host's neighbour on the uplink, and everything beyond. */
  readonly outside: Namespace;
  /** A folder for LXC's configurations; `makeLxcPath` makes more of them. */
  readonly lxcPath: string;
  destroy(): Promise<void>;
}

export const HOST_ADDRESSES = ['192.0.2.1/24', '2001:db8:0:1::1/64'] as const;
const OUTSIDE_ADDRESSES = ['192.0.2.2/24', '2001:db8:0:1::2/64'] as const;
const CONTAINER_PREFIXES = ['198.51.100.0/24', '2001:db8:100::/64'] as const;
export const INTERNET = ['203.0.113.80', '2001:db8:ffff::80'] as const;

/** Known values, since a new namespace inherits this machine's; routing stays off, for it is the daemon's to set. */
const HOST_SYSCTLS: Readonly<Record<string, string>> = {
  'net/ipv4/ip_forward': '0',
  'net/ipv4/conf/all/rp_filter': '0',
  'net/ipv4/conf/default/rp_filter': '2',
  'net/ipv6/conf/all/forwarding': '0',
  'net/ipv6/conf/all/disable_ipv6': '0',
  'net/ipv6/conf/default/disable_ipv6': '0',
};

/** Each probe's refusal shall be told, not only the first few of a second. */
const UNLIMITED_ICMP = { 'net/ipv4/icmp_ratelimit': '0', 'net/ipv6/icmp/ratelimit': '0' };

/** Ready to route when it returns. Goes at the latest by `cleanUp()`. */
export async function createHost(options: HostOptions = {}): Promise<Host> {
  const { defaultRoute = true, routedPrefixes = CONTAINER_PREFIXES, internet = INTERNET, sysctls = {} } = options;
  const host = await createNamespace('host');
  const outside = await createNamespace('outside');
  await setSysctls(host, { ...HOST_SYSCTLS, ...UNLIMITED_ICMP, ...sysctls });
  await setSysctls(outside, { ...UNLIMITED_ICMP, 'net/ipv6/conf/all/disable_ipv6': '0' });
  await createWire(
    { namespace: host, name: 'eth0', addresses: HOST_ADDRESSES },
    { namespace: outside, name: 'eth0', addresses: OUTSIDE_ADDRESSES },
  );
  await runIp(outside, [
    ...internet.map((address) => `address add ${address} dev lo${address.includes(':') ? ' nodad' : ''}`),
    ...routedPrefixes.map((prefix) => `route add ${prefix} via ${gateway(HOST_ADDRESSES, prefix)}`),
  ]);
  if (defaultRoute) {
    await runIp(
      host,
      ['0.0.0.0/0', '::/0'].map((prefix) => `route add ${prefix} via ${gateway(OUTSIDE_ADDRESSES, prefix)}`),
    );
  }
  const destroy = async (): Promise<void> => {
    await host.destroy();
    await outside.destroy();
  };
  return { host, outside, lxcPath: await makeLxcPath(), destroy };
}

/** One more folder for LXC's configurations. */
export const makeLxcPath = makeFolder;

/** The address, of the prefix's family. */
function gateway(addresses: readonly [string, string], prefix: string): string {
  const address = addresses[prefix.includes(':') ? 1 : 0];
  return address.slice(0, address.indexOf('/'));
}
