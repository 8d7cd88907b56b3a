/** In words, what each container gains and loses between the kernel's rules and the desired ones. */
import type { AddressBook } from '../policies/address-book.ts';
import { describePeer, describeService } from '../policies/describe-rule.ts';
import { evaluateChain, type HostFacts, type Packet } from '../policies/model.ts';
import {
  type Address,
  addressFrom,
  contains,
  type Family,
  formatRange,
  parseAddress,
  rangeOf,
} from '../render/address.ts';
import type { NicState } from '../render/desired.ts';
import type { Direction, PeerMatch, PolicyChain, ServiceMatch, Verdict } from '../render/rule.ts';
import type { NftTable, Ruleset } from '../render/ruleset.ts';
import type { Assembled } from './assemble.ts';
import { isHostAddress } from './flow-sides.ts';
import { parsePolicyChain } from './listed-policy.ts';
import { nicIndexOf } from './nic-index.ts';

/** A kind of flow whose verdict changes. */
export interface FlowChange {
  readonly container: string;
  readonly direction: Direction;
  readonly peer: string;
  readonly service: string;
  readonly before: Verdict;
  readonly after: Verdict;
}

type Host = Pick<Assembled, 'desired' | 'network' | 'book'>;

/** `observed` and `expected`: listings of the kernel and of the desired ruleset. */
export function readFlowChanges(
  { observed, expected }: { readonly observed: Ruleset; readonly expected: Ruleset },
  host: Host,
): FlowChange[] {
  const before = observed.get('inet');
  const after = expected.get('inet');
  if (after === undefined) return [];
  const changes = [...host.desired.nics.values()].flatMap((nic) =>
    (['egress', 'ingress'] as const).flatMap((direction) => changesOf(nic, direction, { before, after }, host)),
  );
  const unique = new Map(changes.map((change) => [Object.values(change).join('\n'), change]));
  return [...unique.values()].sort((a, b) => (a.container < b.container ? -1 : a.container > b.container ? 1 : 0));
}

interface Tables {
  readonly before: NftTable | undefined;
  readonly after: NftTable;
}

/** Equal names mean equal rules: they are hashes. What isn't in the kernel yet is shut by the guard. */
function changesOf(nic: NicState, direction: Direction, { before, after }: Tables, host: Host): FlowChange[] {
  const old = before === undefined ? undefined : chainOf(before, nic, direction);
  const next = chainOf(after, nic, direction);
  if (old === next || next === undefined) return [];
  const chainAfter = parsePolicyChain(after, next, direction);
  const chainBefore =
    old === undefined || before === undefined ? shut(direction) : parsePolicyChain(before, old, direction);
  if (chainBefore === undefined || chainAfter === undefined) return [];
  return compareChains(chainBefore, chainAfter, host).map((change) => ({
    container: nic.container,
    direction,
    ...change,
  }));
}

const shut = (direction: Direction): PolicyChain => ({
  direction,
  rules: [],
  default: { verdict: 'drop', log: false, origin: null },
});

function chainOf({ sets }: NftTable, { hostVeth }: NicState, direction: Direction): string | undefined {
  const map = sets.get(direction === 'egress' ? 'from_container' : 'to_container');
  return map?.elements.get(`"${hostVeth}"`)?.replace(/^goto /, '');
}

type Change = Omit<FlowChange, 'container' | 'direction'>;

/** Each rule of either chain is asked about: by the ends of its ranges, since rules change between them only there. */
function compareChains(before: PolicyChain, after: PolicyChain, host: Host): Change[] {
  const changes: Change[] = [];
  for (const { peer, service, family } of [...before.rules, ...after.rules]) {
    for (const one of splitService(service)) {
      for (const witness of witnesses(peer, one, family, before.direction, host)) {
        const old = evaluateChain(before, witness.packet, witness.facts).verdict;
        const next = evaluateChain(after, witness.packet, witness.facts).verdict;
        if (old === next) continue;
        changes.push({ peer: witness.peer, service: describeService(one), before: old, after: next });
      }
    }
  }
  return changes;
}

const splitService = (service: ServiceMatch): ServiceMatch[] =>
  service.kind === 'ports' ? service.ports.map((range) => ({ ...service, ports: [range] })) : [service];

interface Witness {
  readonly peer: string;
  readonly packet: Packet;
  readonly facts: HostFacts;
}

function* witnesses(
  peer: PeerMatch,
  service: ServiceMatch,
  family: Family | undefined,
  direction: Direction,
  host: Host,
): Generator<Witness> {
  const fixed =
    peer.kind === 'ranges' ? peer.family : (family ?? (service.kind === 'icmp' ? service.family : undefined));
  for (const chosen of fixed === undefined ? ([4, 6] as const) : [fixed]) {
    for (const { address, facts, text } of peersOf(peer, chosen, host)) {
      for (const fields of packetsOf(service, chosen)) {
        const ends =
          direction === 'egress'
            ? { source: INSIDE[chosen], destination: address }
            : { source: address, destination: INSIDE[chosen] };
        yield { peer: text, packet: { family: chosen, ...ends, ...fields }, facts };
      }
    }
  }
}

/** Nobody looks at the container's own address. */
const unspecified = (family: Family): Address => addressFrom(0n, family);
const INSIDE: Readonly<Record<Family, Address>> = { 4: unspecified(4), 6: unspecified(6) };

/** Stands for everyone who isn't named: an address of the internet. */
const STRANGER: Readonly<Record<Family, Address>> = {
  4: parseAddress('198.18.0.1') ?? unspecified(4),
  6: parseAddress('2001:2::1') ?? unspecified(6),
};

interface PeerWitness {
  readonly address: Address;
  readonly facts: HostFacts;
  readonly text: string;
}

/** More ranges than this are judged by these. */
const JUDGED = 64;

function peersOf(peer: PeerMatch, family: Family, host: Host): PeerWitness[] {
  if (peer.kind !== 'ranges') {
    const facts: HostFacts = {
      ...NOBODY,
      isHostAddress: () => peer.kind === 'host',
      isLan: () => peer.kind === 'lan',
      isDnsAddress: (name) => peer.kind === 'dns' && peer.name === name,
    };
    return [{ address: STRANGER[family], facts, text: describePeer(peer) }];
  }
  return peer.ranges.slice(0, JUDGED).flatMap((range) =>
    [range.first, range.last].map((number) => {
      const address = addressFrom(number, family);
      const owner = nicIndexOf(host.desired).ownerOf(address);
      const name = namesIn(host.book).get(formatRange(range));
      const text = name === undefined ? formatRange(range) : `container:${name}`;
      return { address, facts: factsAbout(address, owner !== undefined, host), text };
    }),
  );
}

const names = new WeakMap<AddressBook, ReadonlyMap<string, string>>();

/** Whose addresses and routed prefixes they are, also of containers that don't run. */
function namesIn(book: AddressBook): ReadonlyMap<string, string> {
  const known = names.get(book);
  if (known !== undefined) return known;
  const found = new Map<string, string>();
  for (const name of book.containerNames()) {
    for (const prefix of book.container(name) ?? []) found.set(formatRange(rangeOf(prefix)), name);
  }
  names.set(book, found);
  return found;
}

const NOBODY: HostFacts = {
  isHostAddress: () => false,
  isLan: () => false,
  isContainer: () => false,
  isDnsAddress: () => false,
};

function factsAbout(address: Address, isContainer: boolean, host: Host): HostFacts {
  const isHost = isHostAddress(host, address);
  const isLan = host.desired.host.lan.some((prefix) => contains(rangeOf(prefix), address));
  return {
    isHostAddress: () => isHost,
    isLan: () => isLan,
    isContainer: () => isContainer,
    isDnsAddress: (name) => host.desired.dns.get(name)?.includes(address) === true,
  };
}

type Fields = Pick<Packet, 'protocol' | 'port' | 'icmpType'>;

/** 253 is kept free for experiments (RFC 3692): what has a rule for it has one for everything. */
const ANYTHING = 253;
const ECHO = { 4: 8, 6: 128 } as const;

function packetsOf(service: ServiceMatch, family: Family): Fields[] {
  switch (service.kind) {
    case 'any':
      return [{ protocol: ANYTHING }];
    case 'protocol':
      return [{ protocol: service.protocol }];
    case 'ports':
      return service.ports.flatMap(({ first, last }) =>
        [first, last].map((port) => ({ protocol: service.protocol, port })),
      );
    case 'icmp':
      return family === service.family
        ? [{ protocol: family === 4 ? 1 : 58, icmpType: service.type ?? ECHO[family] }]
        : [];
  }
}

/** `tinderbox gains tcp/443 to container:web` */
export function describeFlowChange({ container, direction, peer, service, before, after }: FlowChange): string {
  const flow = `${service} ${direction === 'egress' ? 'to' : 'from'} ${peer}`;
  if (after === 'allow') return `${container} gains ${flow}`;
  if (before === 'allow') return `${container} loses ${flow}${after === 'reject' ? ' (rejected)' : ''}`;
  return `${container}: ${flow} is ${after === 'reject' ? 'rejected' : 'dropped'}, no longer ${before === 'reject' ? 'rejected' : 'dropped'}`;
}
