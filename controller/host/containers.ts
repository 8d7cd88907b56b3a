/** Turns what LXC's configuration says into the containers and endpoints that policies are compiled for. */
import type { Container, Endpoint, Gateway, Place, WiredNic } from '../../policies/endpoint.ts';
import type { Problem } from '../../policies/problem.ts';
import { type Address, type Family, type Prefix, parseAddress, parsePrefix } from '../../render/address.ts';
import { type InterfaceName, parseInterfaceName } from '../../render/names.ts';
import type { LxcConfig, LxcGateway, LxcNic, PlacedText } from '../../watchers/lxc-config/config.ts';
import { namesHook } from '../../watchers/lxc-config/names-hook.ts';
import { describeAttachment } from '../bridged/bridged-nics.ts';
import { unenforceableNics } from './unenforceable-nics.ts';

/**
 * What routewall does about a NIC: `routed` is ours; `bridged` too, by its port and its addresses; `unmanaged` has no host
 * side of its own; `wired` is the end of a wire, and nobody's but the other end's.
 */
export type NicKind = 'routed' | 'bridged' | 'wired' | 'unmanaged';

export function nicKind(nic: LxcNic): NicKind {
  if (nic.type !== 'veth') return 'unmanaged';
  return nic.vethMode !== 'bridge' || nic.link === undefined ? 'routed' : 'bridged';
}

/** The kernel calls it ethN where the configuration gives no name; its index is what users can rely on then. */
export const nicName = (nic: LxcNic): string => nic.name ?? String(nic.index);

export const containerId = (lxcPath: string, name: string): string => `${lxcPath}/${name}`;

/** `wired`: NICs that a wire names, by name or index. `isHostsOwn`: of a name that a configuration can't have for a veth. */
export function describeContainer(
  lxcPath: string,
  name: string,
  config: LxcConfig,
  wired: ReadonlySet<string> = new Set(),
  isHostsOwn: (name: InterfaceName) => boolean = () => false,
): Container {
  const id = containerId(lxcPath, name);
  const problems: Problem[] = config.problems.map((problem) => ({ ...problem }));
  const unenforceable = unenforceableNics(config);
  // In a network namespace that LXC doesn't make for it, a container has no veth: what is in there is another's.
  const nics = unenforceable.some(({ nic }) => nic === null) ? [] : config.nics;
  const plugged = wiredNics(id, nics, wired, problems);
  const isOurs = ({ index, place }: LxcNic): boolean =>
    plugged.wired?.some((end) => end.index === index) !== true && !unenforceable.some((other) => other.place === place);
  const endpoints = nics.filter(isOurs).flatMap((nic) => describeNic(`${id}/${nic.index}`, nic, problems));
  const unnamed = <T extends Pick<Endpoint, 'index' | 'fixedVeth'>>(end: T): T => {
    const { fixedVeth } = end;
    if (fixedVeth === undefined || !isHostsOwn(fixedVeth)) return end;
    const place = config.nics.find(({ index }) => index === end.index)?.place ?? { file: config.file, line: 1 };
    problems.push(errorAt(place, `veth.pair ${fixedVeth} is an interface of this host's own: LXC can't make it`));
    return { ...end, fixedVeth: undefined };
  };
  return {
    ...{ id, name, groups: config.groups, endpoints: endpoints.map(unnamed), file: config.file, problems },
    ...(unenforceable.length === 0 ? unconnected(config) : { unenforceable, asksAtStart: asksAtStart(config) }),
    ...plugged,
    ...(plugged.wired && { wired: plugged.wired.map(unnamed) }),
  };
}

/** `type = none` means nothing beside another NIC. */
function unconnected(config: LxcConfig): Pick<Container, 'unconnected' | 'asksAtStart'> {
  const { nics, file, readable } = config;
  if (!readable || !nics.every(({ type }) => type === 'empty' || type === 'none')) return {};
  return { unconnected: nics[0]?.place ?? { file, line: 1 }, asksAtStart: asksAtStart(config) };
}

/** Its hook asks us when its veths are there, and LXC answers nobody until then. */
export const asksAtStart = ({ nics, settings = [] }: LxcConfig): boolean =>
  nics.some(({ asksUs }) => asksUs) || settings.some(({ key, value }) => key === 'hook.start-host' && namesHook(value));

/** A wired NIC is a veth that leads nowhere else. */
function wiredNics(
  id: string,
  nics: readonly LxcNic[],
  words: ReadonlySet<string>,
  problems: Problem[],
): Pick<Container, 'wired' | 'unwired'> {
  const named = words.size === 0 ? [] : nics.filter((nic) => words.has(nicName(nic)) || words.has(String(nic.index)));
  const wired: WiredNic[] = [];
  const unwired: { nic: string; index: number; why: string }[] = [];
  for (const nic of named) {
    const why = whyUnwirable(nic);
    const common = { nic: nicName(nic), index: nic.index };
    if (why === undefined) {
      wired.push({ ...common, key: `${id}/${nic.index}`, fixedVeth: fixedVeth(nic, problems) });
    } else unwired.push({ ...common, why });
  }
  return { ...(wired.length > 0 && { wired }), ...(unwired.length > 0 && { unwired }) };
}

function whyUnwirable({ index, type, link, vethMode }: LxcNic): string | undefined {
  const key = `lxc.net.${index}`;
  if (type !== 'veth') return `only a veth can be wired, and ${key}.type is ${type ?? 'not given'}`;
  if (vethMode !== 'bridge') return `LXC routes to it: take ${key}.veth.mode out`;
  return link === undefined ? undefined : `it hangs on ${link}: take ${key}.link out`;
}

function describeNic(key: string, nic: LxcNic, problems: Problem[]): Endpoint[] {
  switch (nicKind(nic)) {
    case 'routed':
      return [describeEndpoint(key, nic, problems)];
    case 'bridged': {
      const attachment = describeAttachment(nic, problems);
      if (attachment === undefined) return [];
      return [
        { ...describeEndpoint(key, nic, problems), routes: [], gateways: [], proxiedByLxcOn: undefined, attachment },
      ];
    }
    case 'wired':
    case 'unmanaged':
      return [];
  }
}

function describeEndpoint(key: string, nic: LxcNic, problems: Problem[]): Endpoint {
  const places = new Map<Prefix, Place>();
  const takeAll = <T extends Address | Prefix>(texts: readonly PlacedText[], take: (text: PlacedText) => T[]): T[] =>
    texts.flatMap((text) =>
      take(text).map((value) => {
        const prefix = parsePrefix(value);
        if (prefix !== undefined && !places.has(prefix)) places.set(prefix, text.place);
        return value;
      }),
    );
  return {
    key,
    index: nic.index,
    nic: nicName(nic),
    addresses: takeAll([...nic.ipv4Addresses, ...nic.ipv6Addresses], (text) => takeAddress(text, problems)),
    routes: takeAll([...nic.ipv4Routes, ...nic.ipv6Routes], (text) => takePrefix(text, problems)),
    places,
    gateways: [
      ...describeGateway(nic.ipv4Gateway, 4, nic, problems),
      ...describeGateway(nic.ipv6Gateway, 6, nic, problems),
    ],
    fixedVeth: fixedVeth(nic, problems),
    proxiedByLxcOn: nic.l2proxy && nic.link !== undefined ? parseInterfaceName(nic.link) : undefined,
  };
}

function fixedVeth(nic: LxcNic, problems: Problem[]): InterfaceName | undefined {
  if (nic.vethPair === undefined || nic.vethPair === '') return undefined;
  const name = parseInterfaceName(nic.vethPair);
  if (name === undefined)
    problems.push(
      errorAt(
        nic.place,
        `veth.pair ${JSON.stringify(nic.vethPair)}: a name that nft can't carry; use letters, digits, - and _`,
      ),
    );
  return name;
}

/** What no container may own, whatever its configuration says. */
function unusable(address: Address): string | undefined {
  if (/^(0\.|127\.|::$|::1$)/.test(address)) return 'is no address of a network';
  if (/^(22[4-9]|23\d)\./.test(address) || address.startsWith('ff')) return 'is a multicast address';
  if (/^(24\d|25\d)\./.test(address)) return 'is reserved';
  if (/^fe[89ab]/.test(address)) return 'is link-local, which is never routed';
  return undefined;
}

function takeAddress({ text, place }: PlacedText, problems: Problem[]): Address[] {
  const address = parseAddress(text);
  const reason = address === undefined ? 'is no plain IPv4 or IPv6 address' : unusable(address);
  if (reason !== undefined) problems.push(errorAt(place, `${text} ${reason}: the container doesn't get it`));
  return address === undefined || reason !== undefined ? [] : [address];
}

function takePrefix({ text, place }: PlacedText, problems: Problem[]): Prefix[] {
  const prefix = parsePrefix(text);
  const base = prefix === undefined ? undefined : parseAddress(prefix.slice(0, prefix.indexOf('/')));
  const reason = base === undefined ? 'is no prefix' : unusable(base);
  if (reason !== undefined) problems.push(errorAt(place, `${text} ${reason}: it isn't routed to the container`));
  return prefix === undefined || reason !== undefined ? [] : [prefix];
}

function describeGateway(gateway: LxcGateway | null, family: Family, nic: LxcNic, problems: Problem[]): Gateway[] {
  if (gateway === null) return [];
  switch (gateway.kind) {
    case 'auto':
      return nic.link === undefined ? [] : [{ kind: 'link', family, link: nic.link }];
    case 'dev':
      // There is no NDP counterpart of proxy_arp: nobody would answer for "every address".
      if (family === 6)
        problems.push(
          warningAt(nic.place, 'ipv6.gateway = dev: nobody answers for every IPv6 address; use ipv6.gateway = fe80::1'),
        );
      return [{ kind: 'device', family }];
    case 'address': {
      const address = parseAddress(gateway.address);
      return address === undefined ? [] : [{ kind: 'address', address }];
    }
  }
}

const errorAt = (place: { file: string; line: number }, message: string): Problem => ({
  ...place,
  column: 1,
  message,
  severity: 'error',
});
const warningAt = (place: { file: string; line: number }, message: string): Problem => ({
  ...errorAt(place, message),
  severity: 'warning',
});
