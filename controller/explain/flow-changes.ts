/** What each container gains and loses between the kernel's rules and the desired ones. */
import { type CompiledNic, policyOfNic } from '../../policies/compile-policy.ts';
import { type ChangeLine, changeLines } from '../../policies/flows/change-lines.ts';
import { compareChains } from '../../policies/flows/compare-chains.ts';
import { peerNames } from '../../policies/flows/peer-names.ts';
import { serviceNames } from '../../policies/flows/service-names.ts';
import type { LoadedPolicies } from '../../policies/load-policies.ts';
import { chainWithout } from '../../policies/rule-ends.ts';
import type { DesiredState, NicState } from '../../render/desired.ts';
import type { Direction, Origin, PolicyChain } from '../../render/rule.ts';
import { hostAddresses } from '../host/host-addresses.ts';
import type { ListedChains } from '../kernel/listed-chains.ts';
import type { Assembled } from '../pass/assemble.ts';

export interface NicChange {
  readonly container: string;
  readonly nic: string;
  /** How many NICs of the container have rules; only where there are several is a NIC worth naming. */
  readonly nics: number;
  readonly direction: Direction;
  /** `unknown`: what the kernel holds isn't in our words. Somebody else wrote it, and what it means can't be told. */
  readonly lines: readonly ChangeLine[] | 'unknown';
}

type Host = Pick<Assembled, 'desired' | 'network' | 'book' | 'policies'>;
type Listed = Pick<LoadedPolicies, 'sets' | 'services'>;

interface Comparison {
  /** How the listings differ, where that was asked: where they don't, nothing that any of them says does. */
  readonly ruleset?: string;
  readonly observed: ListedChains;
  readonly expected: ListedChains;
  /** What the backend can hold of the desired state; all of it, where it isn't told. */
  readonly desired?: DesiredState;
}

interface Listings {
  readonly before: ListedChains;
  readonly after: ListedChains;
}

/**
 * `observed` and `expected`: listings of the kernel and of the desired ruleset. NICs without a change are left out.
 *
 * @param now in milliseconds: what the kernel has ended by itself is no rule any more, though it is listed
 */
export function readFlowChanges(
  { observed: before, expected: after, desired: held, ruleset }: Comparison,
  host: Host,
  listed: Listed,
  now: number,
): NicChange[] {
  if (ruleset === '') return [];
  const compare = createComparison({ before, after }, host, listed, now);
  const nicsOf = countNics(host.desired.nics.values());
  return [...(held ?? host.desired).nics].flatMap(([key, nic]) =>
    (['egress', 'ingress'] as const).flatMap((direction) => {
      // Another than the desired one is shut, whatever its policy says.
      const own = host.desired.nics.get(key) === nic ? ownChains(host, key, nic) : nic;
      const lines = compare(nic, own[direction]);
      const nics = nicsOf.get(nic.container) ?? 1;
      return lines.length === 0 ? [] : [{ container: nic.container, nic: nic.nic, nics, direction, lines }];
    }),
  );
}

export function countNics(all: Iterable<NicState>): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { container } of all) counts.set(container, (counts.get(container) ?? 0) + 1);
  return counts;
}

type Chains = Pick<CompiledNic, 'egress' | 'ingress'>;

/** Chains that say the same are shared and name one file only; the container's own have its own places. */
export function ownChains({ policies }: Pick<Host, 'policies'>, key: string, nic: NicState): Chains {
  const slash = key.lastIndexOf('/');
  const policy = policies.get(key.slice(0, slash));
  return policy === undefined
    ? nic
    : policyOfNic(policy.enforced, { name: nic.nic, index: Number(key.slice(slash + 1)) });
}

type Compare = (nic: NicState, own: PolicyChain) => NicChange['lines'];

/** Equal pairs of chains are compared once. */
function createComparison({ before, after }: Listings, host: Host, { sets, services }: Listed, now: number): Compare {
  const known = new Map<string, { readonly lines: NicChange['lines']; readonly chain: PolicyChain }>();
  let facts: ReturnType<typeof readFacts> | undefined;
  const readFacts = () => {
    const addresses = hostAddresses(host);
    return { addresses, names: { peers: peerNames(addresses, host.book, sets), services: serviceNames(services) } };
  };
  const linesOf = (old: string | undefined, chain: PolicyChain): NicChange['lines'] => {
    const chainBefore = readChain(before, old, chain.direction);
    if (chainBefore === undefined) return 'unknown';
    facts ??= readFacts();
    return changeLines(compareChains(chainWithout(chainBefore, now), chain, facts.addresses), facts.names);
  };
  return (nic, own) => {
    const { direction } = own;
    const [old, next] = [before.nameFor(nic, direction), after.nameFor(nic, direction)];
    if (next === undefined || isUntouched({ before, after }, old, next)) return [];
    const key = `${old} ${next}`;
    const found = known.get(key) ?? { lines: linesOf(old, own), chain: own };
    known.set(key, found);
    return found.lines === 'unknown' ? 'unknown' : withOwnPlaces(found.lines, found.chain, own, nic.container);
  };
}

/** Names are hashes of what we wrote; somebody else may have edited the chain since. */
const isUntouched = ({ before, after }: Listings, old: string | undefined, next: string): boolean =>
  old === next && before.textOf(next) === after.textOf(next);

/** What isn't in the kernel yet is shut by the guard. */
function readChain(listed: ListedChains, name: string | undefined, direction: Direction): PolicyChain | undefined {
  if (name !== undefined) return listed.read(name, direction);
  return { direction, rules: [], default: { verdict: 'drop', log: false, origin: null } };
}

/** The lines for another NIC whose chain says the same as the compared one. */
function withOwnPlaces(
  lines: readonly ChangeLine[],
  compared: PolicyChain,
  own: PolicyChain,
  container: string,
): ChangeLine[] {
  const places = new Map<string, Origin>();
  for (const [index, { origin }] of compared.rules.entries()) {
    places.set(placeKey(origin), own.rules[index]?.origin ?? origin);
  }
  if (compared.default.origin !== null && own.default.origin !== null) {
    places.set(placeKey(compared.default.origin), own.default.origin);
  }
  // A comment in the kernel names one of several files that said the same: another container's would only confuse.
  const isOurs = ({ file }: Origin): boolean =>
    /^(profiles\/|_default[.])/.test(file) || file.replace(/\.[a-z]+$/, '') === container;
  return lines.map((line) => ({
    ...line,
    origins: {
      before: line.origins.before.filter(isOurs),
      after: line.origins.after.map((origin) => places.get(placeKey(origin)) ?? origin),
    },
  }));
}

const placeKey = ({ file, line }: Origin): string => `${file}:${line}`;
