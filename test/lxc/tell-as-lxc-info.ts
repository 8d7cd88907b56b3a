/** Writes a parsed configuration the way `lxc-info -c` answers, for a comparison key by key. */
import { parseIp } from 'ip-bigint';
import type { LxcConfig, LxcGateway, LxcNic } from '../../watchers/lxc-config/config.ts';

const VETH_KEYS = ['veth.pair', 'veth.mode', 'veth.ipv4.route', 'veth.ipv6.route'];

export const NIC_KEYS_TOLD: readonly string[] = [
  'type',
  'link',
  'name',
  'flags',
  'ipv4.address',
  'ipv6.address',
  'ipv4.gateway',
  'ipv6.gateway',
  'l2proxy',
  ...VETH_KEYS,
];

/** Keys that LXC calls invalid (a NIC that isn't there, a veth key of another type) are left out; no value is []. */
export function tellAsLxcInfo(config: LxcConfig): Record<string, string[]> {
  const told: [string, string | readonly string[] | undefined][] = [
    ['lxc.group', config.groups],
    ['lxc.uts.name', config.utsName],
  ];
  for (const nic of config.nics) {
    const ofNic = Object.entries(tellNic(nic)).filter(([key]) => nic.type === 'veth' || !VETH_KEYS.includes(key));
    told.push(...ofNic.map(([key, value]): (typeof told)[number] => [`lxc.net.${nic.index}.${key}`, value]));
  }
  return Object.fromEntries(
    told.map(([key, value]) => [
      key,
      [value ?? []]
        .flat()
        .map((one) => canonical(key, one))
        .filter((one) => one !== ''),
    ]),
  );
}

function tellNic(nic: LxcNic): Record<string, string | readonly string[] | undefined> {
  return {
    type: nic.type ?? 'null',
    link: nic.link,
    name: nic.name,
    flags: nic.flagsUp ? 'up' : undefined,
    'ipv4.address': nic.ipv4Addresses.map(({ text }) => text),
    'ipv6.address': nic.ipv6Addresses.map(({ text }) => text),
    'ipv4.gateway': tellGateway(nic.ipv4Gateway),
    'ipv6.gateway': tellGateway(nic.ipv6Gateway),
    l2proxy: nic.l2proxy ? '1' : '0',
    'veth.pair': nic.vethPair,
    'veth.mode': nic.vethMode === 'none' ? '(invalid)' : nic.vethMode,
    'veth.ipv4.route': nic.ipv4Routes.map(({ text }) => text),
    'veth.ipv6.route': nic.ipv6Routes.map(({ text }) => text),
  };
}

const tellGateway = (gateway: LxcGateway | null): string | undefined =>
  gateway?.kind === 'address' ? gateway.address : gateway?.kind;

/** One spelling for what is the same: addresses as numbers and without LXC's prefix length, the two forms of no type. */
export function canonical(key: string, value: string): string {
  if (key.endsWith('.type')) return value === '(null)' || value === 'empty' ? 'null' : value;
  if (!/ipv[46]\.(address|gateway|route)$/.test(key) || value === 'auto' || value === 'dev') return value;
  const [address = '', length] = value.split('/');
  const number = parseIp(address).number.toString(16);
  return key.endsWith('.route') ? `${number}/${length}` : number;
}
