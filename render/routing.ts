/** Routes, gateway addresses and neighbour proxies as lines for one `ip -force -batch`. */
import { hostPrefix } from './address.ts';
import type { DesiredState, GatewayAddress, NeighbourProxy, Route } from './desired.ts';
import { METRIC, PROTOCOL } from './protocol.ts';

/** What of the kernel's routing side is ours or shall be. */
export interface Routing {
  readonly gateways: readonly GatewayAddress[];
  readonly routes: readonly Route[];
  readonly proxies: readonly NeighbourProxy[];
}

export interface RoutingDiff {
  readonly add: Routing;
  readonly remove: Routing;
}

export function routingOf(desired: DesiredState): Routing {
  const nics = [...desired.nics.values()];
  return {
    gateways: nics.flatMap((nic) => nic.gateways),
    routes: nics.flatMap((nic) => nic.routes),
    proxies: nics.flatMap((nic) => nic.proxies),
  };
}

export function diffRouting(before: Routing, after: Routing): RoutingDiff {
  return { add: missing(after, before), remove: missing(before, after) };
}

/** What either has, each once. */
export function joinRouting(a: Routing, b: Routing): Routing {
  const { gateways, routes, proxies } = missing(b, a);
  return {
    gateways: [...a.gateways, ...gateways],
    routes: [...a.routes, ...routes],
    proxies: [...a.proxies, ...proxies],
  };
}

/** What the first has and the second lacks. */
function missing(from: Routing, than: Routing): Routing {
  return {
    gateways: without(from.gateways, than.gateways, gatewayKey),
    routes: without(from.routes, than.routes, routeKey),
    proxies: without(from.proxies, than.proxies, proxyKey),
  };
}

function without<T>(list: readonly T[], than: readonly T[], keyOf: (item: T) => string): T[] {
  const keys = new Set(than.map(keyOf));
  return list.filter((item) => !keys.has(keyOf(item)));
}

const gatewayKey = ({ address, dev }: GatewayAddress): string => `${address} ${dev}`;
const routeKey = ({ prefix, dev, via, table }: Route): string => `${prefix} ${dev} ${via ?? ''} ${table ?? ''}`;
/** Tells two neighbour proxies apart. */
export const proxyKey = ({ address, dev }: NeighbourProxy): string => `${address} ${dev}`;

/**
 * Removal comes first, from the outside in; then the new, from the inside out: a neighbour never hears that an address
 * is here before there is a way to it. `replace` makes a line repeatable.
 */
export const renderRouting = ({ add, remove }: RoutingDiff): string[] => [
  ...remove.proxies.map(({ address, dev }) => `neigh del proxy ${address} dev ${dev}`),
  ...remove.routes.map(
    ({ prefix, dev, table }) => `route del ${prefix} dev ${dev}${inTable(table)} proto ${PROTOCOL} metric ${METRIC}`,
  ),
  ...remove.gateways.map(({ address, dev }) => `address del ${hostPrefix(address)} dev ${dev}`),
  ...add.gateways.map(renderGateway),
  ...add.routes.map(renderRoute),
  ...add.proxies.map(({ address, dev }) => `neigh replace proxy ${address} dev ${dev} protocol ${PROTOCOL}`),
];

/** `onlink`: the next hop's own route may come later in the same batch. */
function renderRoute({ prefix, dev, via, table }: Route): string {
  const hop = via === undefined ? '' : ` via ${via} onlink`;
  return `route replace ${prefix}${hop} dev ${dev}${inTable(table)} proto ${PROTOCOL} metric ${METRIC}`;
}

const inTable = (table: number | undefined): string => (table === undefined ? '' : ` table ${table}`);

/** Fails where there is none. */
export const renderProxyQuestion = ({ address, dev }: NeighbourProxy): string =>
  `neigh get proxy ${address} dev ${dev}`;

/** `nodad`: a container must not be able to claim its gateway's address by answering the probe for it. */
function renderGateway({ address, dev }: GatewayAddress): string {
  return `address replace ${hostPrefix(address)} dev ${dev} scope link${address.includes(':') ? ' nodad' : ''}`;
}
