/** Desired states made by hand, for tests that need no policies. */

import { parseAddress, parsePrefix } from '../../render/address.ts';
import type { DesiredState, HostState, NicState } from '../../render/desired.ts';
import { NO_NAMES } from '../../render/dns-name.ts';
import { type InterfaceName, parseInterfaceName } from '../../render/names.ts';
import type { Direction, PolicyChain, Rule } from '../../render/rule.ts';

export function certain<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a test needs this value');
  return value;
}

export const veth = (name: string): InterfaceName => certain(parseInterfaceName(name));

export const host: HostState = {
  guardPatterns: [],
  guardedNames: [],
  uplinks: [],
  lan: [],
  log: { group: 5, rate: '10/second' },
  connections: { most: 8192, rate: '1000/second', fragments: '2000/second' },
};

/** Allows TCP to that port; nft refuses one beyond 65535. */
export function chainOf(direction: Direction, port: number): PolicyChain {
  const rule: Rule = {
    peer: { kind: 'any' },
    service: { kind: 'ports', protocol: 6, ports: [{ first: port, last: port }] },
    action: 'allow',
    log: false,
    origin: { file: 'containers/x.yaml', line: 1 },
  };
  return { direction, rules: [rule], default: { verdict: 'drop', log: false, origin: null } };
}

/** The container `cN` behind `vethN` with 198.51.100.N, open on one port each way. */
export function nicOf(number: number, port: number): NicState {
  const dev = veth(`veth${number}`);
  const prefix = certain(parsePrefix(`198.51.100.${number}/32`));
  return {
    container: `c${number}`,
    nic: 'eth0',
    hostVeth: dev,
    owned: [prefix],
    egress: chainOf('egress', port),
    ingress: chainOf('ingress', port),
    routes: [{ prefix, dev }],
    gateways: [{ address: certain(parseAddress('169.254.0.1')), dev }],
    proxies: [],
    sysctls: [],
  };
}

export const keyOf = (nic: NicState): string => `/lxc/${nic.container}/0`;

export const stateOf = (...nics: readonly NicState[]): DesiredState => ({
  host,
  nics: new Map(nics.map((nic) => [keyOf(nic), nic])),
  dns: NO_NAMES,
});
