/** The key `dns` of routewall.yaml: who is asked for the addresses of `dns:` peers, and which answers count. */
import { type Prefix, parseAddress, parsePrefix } from '../render/address.ts';
import type { DnsSettings } from './config.gen.ts';
import type { Path } from './places.ts';

export interface DnsConfig {
  /** `ADDRESS`, `ADDRESS:PORT` or `[ADDRESS]:PORT` each. */
  readonly servers: 'system' | readonly string[];
  /** Where answers count that aren't of the internet. */
  readonly accept: readonly Prefix[];
  /** How long addresses stay while no server answers. */
  readonly keepSeconds: number;
  /** How long an address stays that answers no longer hold. */
  readonly holdSeconds: number;
}

export const defaultDns: DnsConfig = { servers: 'system', accept: [], keepSeconds: 6 * 3600, holdSeconds: 3600 };

export function dnsOf(data: DnsSettings, fail: (path: Path, message: string) => void): DnsConfig {
  const servers = data.servers?.filter((text, index) => {
    if (isServer(text)) return true;
    fail(['dns', 'servers', index], `"${text}" is no server: write an address, or with a port 192.0.2.53:53`);
    return false;
  });
  const accept = data.accept?.flatMap((text, index) => {
    const prefix = parsePrefix(text);
    if (prefix === undefined) fail(['dns', 'accept', index], `"${text}" is no address or prefix`);
    return prefix ?? [];
  });
  return {
    servers: servers ?? defaultDns.servers,
    accept: accept ?? defaultDns.accept,
    keepSeconds: data.keep ?? defaultDns.keepSeconds,
    holdSeconds: data.hold ?? defaultDns.holdSeconds,
  };
}

function isServer(text: string): boolean {
  if (parseAddress(text) !== undefined) return true;
  const [, bracketed, plain, port] = /^(?:\[(.+)\]|([0-9.]+)):([1-9]\d{0,4})$/.exec(text) ?? [];
  return parseAddress(bracketed ?? plain ?? '') !== undefined && Number(port) <= 65535;
}
