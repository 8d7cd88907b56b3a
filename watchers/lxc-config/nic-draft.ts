/** One NIC while its lines are being read. */
import type { LxcGateway, LxcNic, LxcNicType, Place, PlacedText } from './config.ts';

/** LXC keeps three independent marks per family, and `auto` and `dev` survive what looks like their replacement. */
interface GatewayDraft {
  address: PlacedText | undefined;
  auto: boolean;
  dev: boolean;
}

export interface FamilyDraft {
  addresses: PlacedText[];
  routes: PlacedText[];
  gateway: GatewayDraft;
}

export interface NicDraft {
  readonly index: number;
  place: Place;
  type: LxcNicType | null;
  link: string | undefined;
  name: string | undefined;
  flagsUp: boolean;
  vethPair: string | undefined;
  hwaddr: string | undefined;
  vethMode: LxcNic['vethMode'];
  ipv4: FamilyDraft;
  ipv6: FamilyDraft;
  l2proxy: boolean;
  asksUs: boolean;
}

export function newNic(index: number, place: Place): NicDraft {
  return { index, ...emptyNic(place) };
}

/** What `type` does first, whatever was said before. */
export function wipeNic(nic: NicDraft, place: Place): void {
  Object.assign(nic, emptyNic(place));
}

function emptyNic(place: Place): Omit<NicDraft, 'index'> {
  return {
    place,
    type: null,
    link: undefined,
    name: undefined,
    flagsUp: false,
    vethPair: undefined,
    hwaddr: undefined,
    vethMode: 'bridge',
    ipv4: newFamily(),
    ipv6: newFamily(),
    l2proxy: false,
    asksUs: false,
  };
}

function newFamily(): FamilyDraft {
  return { addresses: [], routes: [], gateway: { address: undefined, auto: false, dev: false } };
}

export function finishNic(nic: NicDraft): LxcNic {
  return {
    index: nic.index,
    type: nic.type,
    ...(nic.link === undefined ? {} : { link: nic.link }),
    ...(nic.name === undefined ? {} : { name: nic.name }),
    flagsUp: nic.flagsUp,
    ...(nic.asksUs ? { asksUs: true } : {}),
    ...(nic.vethPair === undefined ? {} : { vethPair: nic.vethPair }),
    ...(nic.hwaddr === undefined ? {} : { hwaddr: nic.hwaddr }),
    vethMode: nic.vethMode,
    ipv4Addresses: nic.ipv4.addresses,
    ipv6Addresses: nic.ipv6.addresses,
    ipv4Routes: nic.ipv4.routes,
    ipv6Routes: nic.ipv6.routes,
    ipv4Gateway: finishGateway(nic.ipv4.gateway),
    ipv6Gateway: finishGateway(nic.ipv6.gateway),
    l2proxy: nic.l2proxy,
    place: nic.place,
  };
}

function finishGateway({ auto, dev, address }: GatewayDraft): LxcGateway | null {
  if (auto) return { kind: 'auto' };
  if (dev) return { kind: 'dev' };
  return address === undefined ? null : { kind: 'address', address: address.text, place: address.place };
}
