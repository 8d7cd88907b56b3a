/** What each `lxc.net.[i].KEY` does to its NIC. */
import type { LxcNicType } from './config.ts';
import { namesHook } from './names-hook.ts';
import { addressKey, gatewayKey, routeKey } from './nic-address-keys.ts';
import { wipeNic } from './nic-draft.ts';
import { error, type NicKey, warning } from './nic-key.ts';
import { parseSigned, parseUnsigned } from './numbers.ts';

const NIC_TYPES: readonly LxcNicType[] = ['veth', 'macvlan', 'ipvlan', 'vlan', 'phys', 'empty', 'none'];

const typeKey: NicKey = {
  set(nic, value, place) {
    const type = NIC_TYPES.find((known) => known === value);
    if (type === undefined) return error(`"${value}" is no network type: use one of ${NIC_TYPES.join(', ')}`);
    wipeNic(nic, place);
    nic.type = type;
    if (type === 'empty') nic.name = 'lo';
    return undefined;
  },
  clear(nic, place) {
    wipeNic(nic, place);
    return undefined;
  },
};

/** Accepted and of no meaning to us. */
const ignored = (check?: (value: string) => boolean, expected = '', only?: LxcNicType): NicKey => ({
  ...(only === undefined ? {} : { only }),
  set: (_nic, value) => (check === undefined || check(value) ? undefined : error(`"${value}" is not ${expected}`)),
  clear: () => undefined,
});

/** As a rule the path of routewall's hook, or of something of the administrator's that calls it. */
const scriptUp: NicKey = {
  set(nic, value) {
    nic.asksUs = namesHook(value);
    return undefined;
  },
  clear(nic) {
    nic.asksUs = false;
    return undefined;
  },
};

/** LXC puts random digits where the value has an x; `undefined` is an address of the kernel's own choice. */
const hwaddr: NicKey = {
  set(nic, value) {
    nic.hwaddr = value;
    return undefined;
  },
  clear(nic) {
    nic.hwaddr = undefined;
    return undefined;
  },
};

const COMMENT = 'LXC takes it whole, since it knows no comments behind a value';
const BLANKS = 'it can hold neither blanks nor /';

const textKey = (field: 'link' | 'name' | 'vethPair', only?: LxcNicType): NicKey => ({
  ...(only === undefined ? {} : { only }),
  set(nic, value) {
    // A trailing `+` on a phys link means "every interface of the host that begins so", which this file can't know.
    if (field === 'link' && nic.type === 'phys' && value.endsWith('+')) return undefined;
    const cut = cutName(value);
    nic[field] = cut;
    if (/[\s/]/.test(value))
      return warning(`"${value}" is no interface's name: ${/\s#/.test(value) ? COMMENT : BLANKS}`);
    return cut === value
      ? undefined
      : warning(`"${value}" is too long for an interface's name: LXC cuts it to "${cut}"`);
  },
  clear(nic) {
    nic[field] = undefined;
    return undefined;
  },
});

/** The kernel's 15 bytes; a character that would be cut in two becomes U+FFFD, which no interface can have in its name. */
function cutName(value: string): string {
  const bytes = Buffer.from(value, 'utf8');
  return bytes.length <= 15 ? value : bytes.toString('utf8', 0, 15);
}

const vethMode: NicKey = {
  only: 'veth',
  set(nic, value) {
    if (value !== 'bridge' && value !== 'router') return error(`"${value}" is no veth mode: use bridge or router`);
    nic.vethMode = value;
    return undefined;
  },
  clear(nic) {
    if (nic.type !== 'veth') return undefined;
    nic.vethMode = 'none';
    return warning('an empty mode attaches the veth to nothing: write bridge or router');
  },
};

const l2proxy: NicKey = {
  set(nic, value) {
    const number = parseUnsigned(value);
    if (number !== 0 && number !== 1) return error(`"${value}" is not 0 or 1`);
    nic.l2proxy = number === 1;
    return undefined;
  },
  clear(nic) {
    nic.l2proxy = false;
    return undefined;
  },
};

/** Any text raises the interface, `down` too. */
const flags: NicKey = {
  set(nic, value) {
    nic.flagsUp = true;
    return value === 'up'
      ? undefined
      : warning(`"${value}" means up, as any text does: leave the value empty for down`);
  },
  clear(nic) {
    nic.flagsUp = false;
    return undefined;
  },
};

const oneOf = (...words: readonly string[]): readonly [(value: string) => boolean, string] => [
  (value) => words.includes(value),
  `one of ${words.join(', ')}`,
];

const number = (from: number, to: number): readonly [(value: string) => boolean, string] => [
  (value) => {
    const parsed = parseSigned(value);
    return parsed !== undefined && parsed >= from && parsed <= to;
  },
  `a number from ${from} to ${to}`,
];

const isVlan = number(0, 4094);

/** Whole names only: LXC matches these keys exactly. */
export const NIC_KEYS: ReadonlyMap<string, NicKey> = new Map<string, NicKey>([
  ['type', typeKey],
  ['flags', flags],
  ['link', textKey('link')],
  ['name', textKey('name')],
  ['l2proxy', l2proxy],
  ['hwaddr', hwaddr],
  ['mtu', ignored()],
  ['script.up', scriptUp],
  ['script.down', ignored()],
  ['ipv4.address', addressKey('ipv4')],
  ['ipv6.address', addressKey('ipv6')],
  ['ipv4.gateway', gatewayKey('ipv4')],
  ['ipv6.gateway', gatewayKey('ipv6')],
  ['veth.pair', textKey('vethPair', 'veth')],
  ['veth.mode', vethMode],
  ['veth.ipv4.route', routeKey('ipv4')],
  ['veth.ipv6.route', routeKey('ipv6')],
  ['veth.n_rxqueues', ignored(...number(1, 0x7fffffff), 'veth')],
  ['veth.n_txqueues', ignored(...number(1, 0x7fffffff), 'veth')],
  ['veth.vlan.id', ignored((value) => value === 'none' || isVlan[0](value), `none or ${isVlan[1]}`, 'veth')],
  ['veth.vlan.tagged.id', ignored(...isVlan, 'veth')],
  ['macvlan.mode', ignored(...oneOf('private', 'vepa', 'bridge', 'passthru'), 'macvlan')],
  ['ipvlan.mode', ignored(...oneOf('l3', 'l3s', 'l2'), 'ipvlan')],
  ['ipvlan.isolation', ignored(...oneOf('bridge', 'private', 'vepa'), 'ipvlan')],
  ['vlan.id', ignored(...number(0, 65535), 'vlan')],
]);
