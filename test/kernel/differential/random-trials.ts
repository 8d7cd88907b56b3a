/** Packets at the edges of what rules match: ports, types and peers just inside and just outside. */
import type { HostAddresses } from '../../../policies/flows/peer-addresses.ts';
import { rangesOfPeer } from '../../../policies/flows/peer-addresses.ts';
import {
  type Address,
  addressFrom,
  addressNumber,
  contains,
  type Family,
  familyOf,
  parseAddress,
  parsePrefix,
  rangeOf,
} from '../../../render/address.ts';
import type { Direction, PolicyChain, Rule } from '../../../render/rule.ts';
import { addressesOfContainer } from './bed.ts';
import type { SentPacket } from './frames.ts';
import type { Chains, Trial } from './judge.ts';
import type { Random } from './random-policies.ts';

type Service = Pick<SentPacket, 'protocol' | 'port' | 'icmpType'>;

const POOL = {
  4: ['203.0.113.5', '203.0.113.77', '192.0.2.1', '192.0.2.77', '10.1.2.3', '198.51.100.9', '192.0.2.200', '1.1.1.1'],
  6: ['2001:db8:f::5', '2001:db8::1', '2001:db8::77', '2001:db8:8000::1', 'fd00::7', '2001:db8::9', '2620::1'],
} as const;

const PORTS = [0, 1, 2, 22, 53, 79, 80, 81, 443, 3868, 5000, 65534, 65535];
/** Errors and what only routers say among them; not what the host needs to find its neighbours. */
const TYPES = { 4: [0, 3, 5, 8, 9, 13, 42, 255], 6: [1, 2, 127, 128, 129, 134, 137, 138, 200, 255] } as const;
/** Extension headers are no protocols, in IPv6. */
const PROTOCOLS = [47, 50, 253, 1, 58];
const NEIGHBOURS6 = [130, 131, 132, 133, 135, 136, 143];

const prefixes = (...texts: readonly string[]) => texts.flatMap((text) => parsePrefix(text) ?? []).map(rangeOf);

/** What the kernel forwards whatever the rules; addresses of the test's networks that mean all of a link are out too. */
const ROUTED = prefixes('1.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '126.0.0.0/7', '128.0.0.0/2', '192.0.0.0/4').concat(
  prefixes('2000::/3', 'fd00::/8'),
);
const SPECIAL = prefixes('127.0.0.0/8', '192.0.2.0/32', '192.0.2.255/32', '2001:db8::/128');

const isRouted = (address: Address): boolean =>
  ROUTED.some((range) => contains(range, address)) && !SPECIAL.some((range) => contains(range, address));

/** @param used flows without ports that have been sent already: the same one the other way would be its reply */
export function randomTrial(
  random: Random,
  chains: readonly Chains[],
  addresses: HostAddresses,
  owners: ReadonlyMap<Address, number>,
  used: Set<string>,
  id: number,
): Trial | undefined {
  const index = random.below(chains.length);
  const direction = random.pick<Direction>(['egress', 'ingress']);
  const chain = chains[index]?.[direction];
  if (chain === undefined) return undefined;
  const family = random.pick<Family>([4, 6]);
  const rule = chain.rules.length === 0 ? undefined : random.pick(chain.rules);
  const peer = randomPeer(random, rule, family, addresses);
  const service = randomService(random, rule, family, chain);
  const own = parseAddress(addressesOfContainer(index)[family === 4 ? 0 : 1]);
  if (own === undefined || !isRouted(peer) || peer === own || isNeighbours(family, service)) return undefined;
  const isHost = addresses.host[family].some((range) => contains(range, peer));
  const other = owners.get(peer);
  const fragmented = service.port !== undefined && service.protocol !== 132 && !isHost && random.chance(0.1);
  const packet = (source: Address, destination: Address) => ({
    id,
    family,
    source,
    destination,
    ...service,
    fragmented,
  });
  const key = service.port === undefined ? `${service.protocol} ${[own, peer].sort().join()}` : '';
  if (key !== '' && used.has(key)) return undefined;
  if (key !== '') used.add(key);
  if (direction === 'egress') return { from: index, to: other, packet: packet(own, peer) };
  // The host may report errors to its containers, by itself.
  if (isHost)
    return service.icmpType === undefined ? { from: 'host', to: index, packet: packet(peer, own) } : undefined;
  return { from: other ?? 'uplink', to: index, packet: packet(peer, own) };
}

function randomPeer(random: Random, rule: Rule | undefined, family: Family, addresses: HostAddresses): Address {
  const ranges = rule === undefined || random.chance(0.3) ? [] : rangesOfPeer(rule.peer, family, addresses);
  const fallback = parseAddress(random.pick<string>(POOL[family])) ?? addressFrom(0n, family);
  if (ranges.length === 0) return fallback;
  const { first, last } = random.pick(ranges);
  const edge = random.pick([first - 1n, first, last, last + 1n]);
  const top = family === 4 ? 2n ** 32n : 2n ** 128n;
  const address = edge < 0n || edge >= top ? fallback : addressFrom(edge, family);
  return isRouted(address) && addressNumber(address) === edge ? address : fallback;
}

function randomService(random: Random, rule: Rule | undefined, family: Family, { rules }: PolicyChain): Service {
  // Half the time what another rule is about: rules take from each other.
  const asked = rule === undefined || random.chance(0.5) ? rule : random.pick(rules);
  const service = asked?.service ?? { kind: 'any' };
  switch (service.kind) {
    case 'ports': {
      const { first, last } = random.pick(service.ports);
      const port = random.pick([first - 1, first, last, last + 1]);
      return { protocol: service.protocol, port: port > 65_535 ? 65_535 : port };
    }
    case 'icmp':
      return {
        protocol: family === 4 ? 1 : 58,
        icmpType: service.family === family && service.type !== undefined ? service.type : random.pick(TYPES[family]),
      };
    case 'protocol':
      return withPort(random, service.protocol);
    case 'any':
      return random.chance(0.25)
        ? { protocol: family === 4 ? 1 : 58, icmpType: random.pick(TYPES[family]) }
        : withPort(
            random,
            random.pick([6, 6, 17, 17, 132, ...PROTOCOLS.filter((one) => one !== (family === 4 ? 1 : 58))]),
          );
  }
}

const withPort = (random: Random, protocol: number): Service =>
  [6, 17, 132].includes(protocol) ? { protocol, port: random.pick(PORTS) } : { protocol };

const isNeighbours = (family: Family, { icmpType }: Service): boolean =>
  family === 6 && icmpType !== undefined && NEIGHBOURS6.includes(icmpType);

export const ownersOf = (count: number): Map<Address, number> =>
  new Map(
    Array.from({ length: count }, (_, index) => index).flatMap((index) =>
      addressesOfContainer(index).flatMap((text): [Address, number][] => {
        const address = parseAddress(text);
        return address === undefined || familyOf(address) === undefined ? [] : [[address, index]];
      }),
    ),
  );
