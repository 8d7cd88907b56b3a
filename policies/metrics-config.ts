/** Where metrics may be offered: a file, a unix socket, or an address that only this host reaches. */
import { parseAddress } from '../render/address.ts';

export interface Textfile {
  readonly path: string;
  /** Written only where its folder exists; otherwise a missing folder is worth a warning. */
  readonly optional: boolean;
}

export type ListenAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly address: string; readonly port: number };

/** Debian's node_exporter looks there. */
export const defaultTextfile: Textfile = {
  path: '/var/lib/prometheus/node-exporter/routewall.prom',
  optional: true,
};

const EXAMPLES = 'write a path such as /run/routewall/metrics.sock, or 127.0.0.1:9119 or [::1]:9119';

/** sun_path of unix(7), less its final zero. */
const SOCKET_BYTES = 107;

/** `/run/x.sock`, `127.0.0.1:9119`, `[::1]:9119`. @returns what is wrong with it, as text, where something is. */
export function parseListenAddress(text: string): ListenAddress | string {
  if (text.startsWith('/')) {
    const bytes = Buffer.byteLength(text);
    if (bytes <= SOCKET_BYTES) return { kind: 'unix', path: text };
    return `a path of ${bytes} bytes is too long for a unix socket, which takes ${SOCKET_BYTES}`;
  }
  const [, v6, v4, digits] = /^(?:\[([^\]]+)\]|([^:]+)):([0-9]{1,5})$/.exec(text) ?? [];
  const address = parseAddress(v6 ?? v4 ?? '');
  const port = Number(digits);
  if (address === undefined || address.includes(':') !== (v6 !== undefined) || !(port >= 1 && port <= 65_535))
    return `"${text}" is no place to listen: ${EXAMPLES}`;
  // IPv4 loopback is a whole /8, and IPv6 loopback a single address.
  if (address !== '::1' && !address.startsWith('127.'))
    return `"${text}" is no loopback address, and the metrics name every container: ${EXAMPLES}`;
  return { kind: 'tcp', address, port };
}
