/** A host with any number of containers, as the assembler takes it: nothing of it exists but where a bench makes it. */
import type { HostInputs } from '../controller/pass/assemble.ts';
import { chainHash } from '../policies/chain-hash.ts';
import { defaultConfig } from '../policies/config.ts';
import type { Container, Endpoint } from '../policies/endpoint.ts';
import { parseLinks } from '../policies/host-network.ts';
import { loadPolicies } from '../policies/load-policies.ts';
import { type Address, addressFrom } from '../render/address.ts';
import { NO_NAMES } from '../render/dns-name.ts';
import { type InterfaceName, parseInterfaceName } from '../render/names.ts';
import { chainNaming } from '../render/nft.ts';
import { changeMap } from '../render/shared-map.ts';

export const nameOf = chainNaming(chainHash);

const links = parseLinks([
  { ifname: 'eth0', link_type: 'ether', addr_info: [{ local: '192.0.2.1', prefixlen: 24, scope: 'global' }] },
]);

// 198.18.0.0/15 is kept for benchmarks, and 2001:db8::/32 for documentation.
const FIRST4 = 0xc612_0000n;
const FIRST6 = 0x2001_0db8n << 96n;

/** Of the container with that number, in either family. */
export const addressesOf = (index: number): Address[] => [
  addressFrom(FIRST4 + BigInt(index), 4),
  addressFrom(FIRST6 + BigInt(index), 6),
];

export const vethOf = (index: number): string => `veth${index}`;

function containerOf(index: number): Container {
  const id = `/var/lib/lxc/c${String(index).padStart(5, '0')}`;
  const endpoint: Endpoint = {
    key: `${id}/0`,
    index: 0,
    nic: 'eth0',
    addresses: addressesOf(index),
    routes: [],
    gateways: [],
    fixedVeth: undefined,
    proxiedByLxcOn: undefined,
    places: new Map(),
  };
  return {
    id,
    name: id.slice('/var/lib/lxc/'.length),
    groups: [],
    endpoints: [endpoint],
    file: `${id}/config`,
    problems: [],
  };
}

/** How many policies there are where containers share them. */
export const SHARED = 20;

const policyOf = (port: number, logs: boolean): string =>
  `egress:\n  default: reject\n  log: ${logs}\n  rules:\n    - allow: [dns, https]\n      to: internet\n` +
  `ingress:\n  rules:\n    - allow: tcp/${port}\n      from: any\n    - allow: ssh\n      from: lan\n`;

/** `own`: each container has chains of its own (as with `log`); otherwise SHARED policies are shared. */
export const inputsWithChains = (count: number, own: boolean): HostInputs =>
  inputsOf(count, (index) => policyOf(8000 + (own ? index : index % SHARED), own));

/** All run. `policyOf`: the policy file's text of the container with that number. */
export function inputsOf(count: number, policyOf: (index: number) => string): HostInputs {
  const containers = Array.from({ length: count }, (_, index) => containerOf(index));
  const files = containers.map(({ name }, index): [string, string] => [`containers/${name}.yaml`, policyOf(index)]);
  const veths = new Map<string, InterfaceName>();
  for (const [index, { endpoints }] of containers.entries()) {
    const veth = parseInterfaceName(vethOf(index));
    for (const { key } of endpoints) if (veth !== undefined) veths.set(key, veth);
  }
  return {
    config: defaultConfig,
    loaded: loadPolicies(new Map(files)),
    containers,
    links,
    veths,
    lastGood: new Map(),
    answers: NO_NAMES,
    now: 0,
  };
}

/** As the daemon notes a stop. */
export const withoutVeth = (inputs: HostInputs, key: string): HostInputs => ({
  ...inputs,
  veths: changeMap(inputs.veths, [[key, undefined]]),
});
