/** What LXC's configuration says of networks that no rule of this host stands before. */
import { readFileSync } from 'node:fs';
import type { Container, UnenforceableNic } from '../../policies/endpoint.ts';
import { nameUnenforceable } from '../../policies/unenforceable.ts';
import { parseInterfaceName } from '../../render/names.ts';
import type { LxcConfig, LxcNic } from '../../watchers/lxc-config/config.ts';
import { asList, asText, orNull, type Placed } from '../json-shape.ts';

/** Such as `eth1 (macvlan on eth0)`; absent where there is none. */
export interface Unenforced {
  readonly unenforced?: readonly string[];
}

export const unenforcedOf = ({ unenforceable }: Pick<Container, 'unenforceable'>): Unenforced =>
  unenforceable === undefined ? {} : { unenforced: unenforceable.map(nameUnenforceable) };

/** @throws ShapeError */
export function parseUnenforced(of: Placed): Unenforced {
  const names = orNull(of, asList)?.map(asText);
  return names === undefined ? {} : { unenforced: names };
}

/**
 * Whether LXC would hand a veth for that link to Open vSwitch. LXC decides so by the folder `bridge`, which a bridge of Linux's
 * gets a moment after it is there and loses a moment before it goes; its kind is told as long as it is there.
 */
export function isOtherBridge(link: string, links = '/sys/class/net'): boolean {
  if (parseInterfaceName(link) === undefined) return false;
  try {
    return !/^DEVTYPE=bridge$/m.test(readFileSync(`${links}/${link}/uevent`, 'utf8'));
  } catch {
    return false;
  }
}

/** None for a network of `type = empty`: there is nothing in it to enforce anything on. */
export function unenforceableNics(lxc: LxcConfig, isOther = isOtherBridge): UnenforceableNic[] {
  const foreign = foreignNetwork(lxc);
  return foreign === undefined ? lxc.nics.flatMap((nic) => unenforceableNic(nic, isOther)) : [foreign];
}

/** LXC makes no network namespace then, or enters another's, whatever NICs are configured. */
function foreignNetwork({ nics, settings = [] }: LxcConfig): UnenforceableNic | undefined {
  const share = settings.findLast(({ key }) => key === 'namespace.share.net');
  if (share !== undefined) return { nic: null, kind: 'shared', link: share.value, place: share.place };
  const names = (key: string) => settings.filter((one) => one.key === key);
  const [kept] = names('namespace.keep').filter(({ value }) => value.split(/\s+/).includes('net'));
  const clone = names('namespace.clone');
  const left = clone.some(({ value }) => value.split(/\s+/).includes('net')) ? undefined : clone[0];
  const setting = kept ?? left;
  if (setting !== undefined) return { nic: null, kind: 'host', link: undefined, place: setting.place };
  // Beside a NIC of another type, `none` means nothing.
  const [first] = nics;
  const isNone = first !== undefined && nics.every(({ type }) => type === 'none');
  return isNone ? { nic: null, kind: 'host', link: undefined, place: first.place } : undefined;
}

function unenforceableNic(nic: LxcNic, isOther: (link: string) => boolean): UnenforceableNic[] {
  const common = { nic: nic.name ?? String(nic.index), link: nic.link, place: nic.place };
  switch (nic.type) {
    case 'macvlan':
    case 'ipvlan':
    case 'vlan':
    case 'phys':
      return [{ ...common, kind: nic.type }];
    case 'veth':
      return nic.vethMode === 'bridge' && nic.link !== undefined && isOther(nic.link)
        ? [{ ...common, kind: 'openvswitch' }]
        : [];
    case 'empty':
    case 'none':
    case null:
      return [];
  }
}
