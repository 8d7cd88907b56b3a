/** The NIC keys that hold addresses, gateways and routed prefixes. */
import type { Place } from './config.ts';
import type { FamilyDraft, NicDraft } from './nic-draft.ts';
import { type Complaint, error, type NicKey, warning } from './nic-key.ts';
import { isAddress4, isAddress6, parseUnsigned } from './numbers.ts';

type FamilyKey = 'ipv4' | 'ipv6';

const LABEL = { ipv4: 'IPv4', ipv6: 'IPv6' } as const;
const BITS = { ipv4: 32, ipv6: 128 } as const;

const isAddress = (family: FamilyKey, text: string): boolean =>
  family === 'ipv4' ? isAddress4(text) : isAddress6(text);

/** `A[/LENGTH]`, in IPv4 also with one blank and a broadcast address. */
export const addressKey = (family: FamilyKey): NicKey => ({
  set(nic, value, place) {
    const [main, broadcast] = family === 'ipv4' ? splitAt(value, ' ') : [value, undefined];
    const [text, length] = splitAt(main, '/');
    if (!isAddress(family, text)) return error(`"${text}" is no ${LABEL[family]} address${hint(value)}`);
    if (broadcast !== undefined && !isAddress4(broadcast))
      return error(`"${broadcast}" is no IPv4 broadcast address${hint(value)}`);
    const bits = length === undefined ? 0 : parseUnsigned(length);
    if (bits === undefined || (family === 'ipv4' && bits > 32))
      return error(`"/${length}" is no prefix length${hint(value)}`);
    nic[family].addresses.push({ text, place });
    if (bits <= BITS[family]) return undefined;
    return warning(`"/${length}" is no prefix length: LXC loads it, but can't start with it`);
  },
  clear(nic) {
    nic[family].addresses = [];
    return undefined;
  },
});

/**
 * `auto`, `dev` or an address. Of what came before, LXC takes back only the address: an empty value leaves `auto` and
 * `dev`, and nothing but `type` ever ends `dev`.
 */
export const gatewayKey = (family: FamilyKey): NicKey => ({
  set(nic, value, place) {
    const { gateway } = nic[family];
    gateway.address = undefined;
    if (value !== 'auto' && value !== 'dev') return setGatewayAddress(family, nic, value, place);
    gateway.auto = value === 'auto';
    gateway.dev ||= value === 'dev';
    return undefined;
  },
  clear(nic) {
    const { gateway } = nic[family];
    gateway.address = undefined;
    return gateway.auto || gateway.dev ? stays(nic[family]) : undefined;
  },
});

function setGatewayAddress(family: FamilyKey, nic: NicDraft, text: string, place: Place): Complaint | undefined {
  if (!isAddress(family, text)) return error(`"${text}" is no ${LABEL[family]} address, nor auto or dev`);
  const { gateway } = nic[family];
  gateway.address = { text, place };
  gateway.auto = false;
  return gateway.dev ? stays(nic[family]) : undefined;
}

function stays({ gateway }: FamilyDraft): Complaint {
  const kept = gateway.auto ? 'auto' : 'dev';
  return warning(`the gateway stays "${kept}" from an earlier line: LXC never takes that back`);
}

/** `A/LENGTH`, the length always there. */
export const routeKey = (family: FamilyKey): NicKey => ({
  only: 'veth',
  set(nic, value, place) {
    const [text, length] = splitAt(value, '/');
    const bits = length === undefined ? undefined : parseUnsigned(length);
    if (!isAddress(family, text) || bits === undefined || bits > BITS[family]) {
      const example = family === 'ipv4' ? '198.51.100.64/28' : '2001:db8:1::/64';
      return error(`"${value}" is no ${LABEL[family]} prefix such as ${example}`);
    }
    nic[family].routes.push({ text: `${text}/${bits}`, place });
    return undefined;
  },
  clear(nic) {
    if (nic.type === 'veth') nic[family].routes = [];
    return undefined;
  },
});

function splitAt(text: string, separator: string): readonly [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function hint(value: string): string {
  if (value.includes('#')) return ' (LXC knows no comments after a value)';
  return value.includes(',') ? ' (give each address a line of its own)' : '';
}
