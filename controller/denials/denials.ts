/** What was refused, with the names of those that it is about. */
import { describeRule } from '../../policies/describe-rule.ts';
import type { Container, Endpoint } from '../../policies/endpoint.ts';
import { policyPath } from '../../policies/policy-files.ts';
import { seenServiceWord, serviceNames } from '../../policies/seen-service.ts';
import { type Address, familyOf, parseAddress } from '../../render/address.ts';
import type { CountedBy } from '../../render/counted.ts';
import type { HostState } from '../../render/desired.ts';
import { type FlowHost, isHostAddress } from '../explain/flow-sides.ts';
import { nicIndexOf } from '../host/nic-index.ts';
import type { Assembled, HostInputs } from '../pass/assemble.ts';
import type { CountedElement, Counting } from './counted-packets.ts';
import { chainOfNic, judgeCounted } from './judge-counted.ts';

export const DENIED: readonly Counting[] = (['egress', 'ingress', 'spoof', 'guard'] as const).map((by) => ({
  as: 'refused',
  by,
}));

/** By policies, of containers on bridges too where there are any. */
export const refusedOn = ({ bridges }: Pick<HostState, 'bridges'>): readonly Counting[] =>
  (bridges === undefined ? [false] : [false, true]).flatMap((isBridged) =>
    (['egress', 'ingress'] as const).map((by) => ({ as: 'refused', by, isBridged })),
  );

export const deniedOn = (host: Pick<HostState, 'bridges'>): readonly Counting[] => [
  ...refusedOn(host),
  ...DENIED.filter(({ by }) => by === 'spoof' || by === 'guard'),
];

export interface Denial {
  /** `null` of an interface that no container has. */
  readonly container: string | null;
  readonly nic: string | null;
  readonly hostVeth: string;
  readonly direction: CountedBy;
  readonly peer: Address;
  /** `host` or `container:NAME`, where it is one of them. */
  readonly peerName: string | null;
  /** As in a policy: `tcp/25`. */
  readonly service: string;
  /** Of the catalogue, or the host's own. */
  readonly serviceName: string | null;
  readonly rule: DenialRule | null;
  /** Since the first; of an hour at least in which there was one. */
  readonly packets: number;
  readonly bytes: number;
  /** ISO 8601, in UTC. */
  readonly lastSeen: string;
}

/** What refused it; `null` where the policy allows it: it has changed since, or the packet was one too many. */
export interface DenialRule {
  /** Relative to the policy folder; `null` for a default that no file states. */
  readonly file: string | null;
  readonly line: number | null;
  /** In a policy's words: `drop tcp/25 to any`, `default: drop`. */
  readonly text: string;
}

export interface DenialHost {
  readonly inputs: HostInputs;
  /** As if all containers ran, so that those that don't have names too. */
  readonly assembled: Assembled;
}

/**
 * By what counted each: several may be told in the same words, such as the codes of one ICMP type.
 * `now`: milliseconds since 1970, when the elements were read.
 */
export function describeDenials(
  elements: readonly CountedElement[],
  { inputs, assembled }: DenialHost,
  now: number,
): ReadonlyMap<string, Denial> {
  const names = serviceNames(inputs.loaded.services);
  const owners = new Map<string | undefined, Owner>(
    inputs.containers.flatMap((container) =>
      container.endpoints.map((endpoint) => [inputs.veths.get(endpoint.key), { container, endpoint }] as const),
    ),
  );
  const byKey = new Map([...owners.values()].map((owner) => [owner.endpoint.key, owner]));
  const describe = (element: CountedElement): Denial => {
    const { whose, by, peer, protocol, port, packets, bytes, age } = element;
    const key = ownKey(element, assembled);
    const owner = key === undefined ? owners.get(whose) : byKey.get(key);
    const service = seenServiceWord({ family: familyOf(peer), protocol, port });
    return {
      ...{ container: owner?.container.name ?? null, nic: owner?.endpoint.nic ?? null },
      ...{
        hostVeth: (owner && inputs.veths.get(owner.endpoint.key)) ?? whose,
        direction: by,
        peer,
        peerName: peerName(peer, assembled),
      },
      ...{ service, serviceName: names.get(service) ?? null },
      rule: owner === undefined ? null : refusedBy(element, owner, assembled),
      ...{ packets, bytes, lastSeen: new Date(now - age).toISOString() },
    };
  };
  return new Map(elements.map((element) => [`${element.set} ${element.key}`, describe(element)]));
}

function refusedBy(element: CountedElement, { container, endpoint }: Owner, assembled: Assembled): DenialRule | null {
  const policy = assembled.policies.get(container.id)?.enforced;
  if (policy === undefined || element.by === 'spoof' || element.by === 'guard') return null;
  const chain = chainOfNic(policy, endpoint, element.by);
  const { verdict, rule, steps } = judgeCounted(assembled, endpoint.key, chain, element);
  // What a limit refuses, its rule allows.
  if (verdict === 'allow' && rule?.limit === undefined) return null;
  const origin = steps.at(-1)?.origin ?? null;
  return {
    file: origin === null ? null : policyPath(origin.file),
    line: origin?.line ?? null,
    text: rule === null ? `default: ${verdict}` : describeRule(rule, chain.direction),
  };
}

/** Of one on a bridge. */
function ownKey({ isBridged = false, whose }: CountedElement, { desired }: Assembled): string | undefined {
  const address = isBridged ? parseAddress(whose) : undefined;
  return address === undefined ? undefined : nicIndexOf(desired).ownerOf(address)?.key;
}

interface Owner {
  readonly container: Container;
  readonly endpoint: Endpoint;
}

function peerName(address: Address, host: FlowHost): string | null {
  if (isHostAddress(host, address)) return 'host';
  const owner = nicIndexOf(host.desired).ownerOf(address);
  return owner === undefined ? null : `container:${owner.nic.container}`;
}
