/** The content hash that names a chain: equal rules give equal hashes, whoever wrote them and wherever. */
import { createHash, type Hash } from 'node:crypto';
import type { AddressRange } from '../render/address.ts';
import type { ChainOwner, PeerMatch, PolicyChain, Rule, ServiceMatch } from '../render/rule.ts';

const hashes = new WeakMap<PolicyChain, string>();
const rangeHashes = new WeakMap<readonly AddressRange[], string>();

/** 16 hex digits over direction, rules, default, owner and observation; not over origins and names of rules. */
export function chainHash(chain: PolicyChain): string {
  const known = hashes.get(chain);
  if (known !== undefined) return known;
  const { verdict, log } = chain.default;
  const observed = chain.observe === undefined ? [] : [chain.observe.until];
  const parts = [chain.direction, verdict, log, ownerKey(chain.owner), chain.rules.map(ruleKey), ...observed];
  const hash = digest(JSON.stringify(parts));
  hashes.set(chain, hash);
  return hash;
}

/** Of two chains that differ only in where their rules stand. @returns the second. */
export function takeHashOf(chain: PolicyChain, same: PolicyChain): PolicyChain {
  hashes.set(same, chainHash(chain));
  return same;
}

const ownerKey = (owner: ChainOwner | undefined): unknown =>
  owner === undefined ? null : [owner.container, owner.id, owner.nic ?? null];

/** 16 hex digits over what the rules match and decide. */
export const rulesHash = (rules: readonly Rule[]): string => digest(JSON.stringify(rules.map(ruleKey)));

function ruleKey({ family, peer, service, action, log, limit, until }: Rule): readonly unknown[] {
  const key = [family ?? 0, peerKey(peer), serviceKey(service), action, log || action === 'log'];
  if (limit === undefined && until === undefined) return key;
  return [...key, until ?? 0, limit === undefined ? 0 : [limit.flows, limit.per, limit.burst, limit.shared]];
}

function peerKey(peer: PeerMatch): string {
  if (peer.kind === 'dns') return `dns ${peer.name}`;
  if (peer.kind !== 'ranges') return peer.kind;
  return `${peer.family} ${rangesHash(peer.ranges)}`;
}

const PIECE = 16_384;

/** Long lists are shared by many rules and chains. */
function rangesHash(ranges: readonly AddressRange[]): string {
  const known = rangeHashes.get(ranges);
  if (known !== undefined) return known;
  const sum = createHash('sha256');
  // In pieces: a hundred thousand texts that all live until the end cost several times as much.
  let [piece, comma] = ['', ''];
  for (const { first, last } of ranges) {
    const from = first.toString(16);
    piece += `${comma}${from}-${first === last ? from : last.toString(16)}`;
    comma = ',';
    if (piece.length < PIECE) continue;
    sum.update(piece);
    piece = '';
  }
  const hash = shorten(sum.update(piece));
  rangeHashes.set(ranges, hash);
  return hash;
}

function serviceKey(service: ServiceMatch): string {
  switch (service.kind) {
    case 'any':
      return 'any';
    case 'protocol':
      return `protocol ${service.protocol}`;
    case 'ports':
      return `${service.protocol} ${service.ports.map(({ first, last }) => `${first}-${last}`).join()}`;
    case 'icmp':
      return `icmp${service.family} ${service.type ?? 'all'}`;
  }
}

const digest = (text: string): string => shorten(createHash('sha256').update(text));

const shorten = (sum: Hash): string => sum.digest('hex').slice(0, 16);
