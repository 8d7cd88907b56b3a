/** What was refused, with the names of those that it is about. */
import type { Container } from '../policies/endpoint.ts';
import { seenServiceWord, serviceNames } from '../policies/seen-service.ts';
import type { ServiceTable } from '../policies/service-table.ts';
import { type Address, familyOf } from '../render/address.ts';
import type { CountedBy } from '../render/counted.ts';
import type { CountedElement, Counting } from './counted-packets.ts';
import { type FlowHost, isHostAddress } from './flow-sides.ts';
import { nicIndexOf } from './nic-index.ts';

export const DENIED: readonly Counting[] = (['egress', 'ingress', 'spoof', 'guard'] as const).map((by) => ({
  as: 'refused',
  by,
}));

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
  /** Since the first; of an hour at least in which there was one. */
  readonly packets: number;
  readonly bytes: number;
  /** ISO 8601, in UTC. */
  readonly lastSeen: string;
}

export interface DenialHost {
  readonly containers: readonly Container[];
  /** By endpoint key. */
  readonly veths: ReadonlyMap<string, string>;
  readonly services: ServiceTable;
  /** As if all containers ran, so that those that don't have names too. */
  readonly flows: FlowHost;
}

/** `now`: milliseconds since 1970, when the elements were read. */
export function describeDenials(elements: readonly CountedElement[], host: DenialHost, now: number): Denial[] {
  const names = serviceNames(host.services);
  const owners = new Map(
    host.containers.flatMap(({ name, endpoints }) =>
      endpoints.map(({ key, nic }) => [host.veths.get(key), { container: name, nic }] as const),
    ),
  );
  return elements.map(({ whose: veth, by, peer, protocol, port, packets, bytes, age }) => {
    const service = seenServiceWord({ family: familyOf(peer), protocol, port });
    return {
      ...(owners.get(veth) ?? { container: null, nic: null }),
      ...{ hostVeth: veth, direction: by, peer, peerName: peerName(peer, host.flows) },
      ...{ service, serviceName: names.get(service) ?? null },
      ...{ packets, bytes, lastSeen: new Date(now - age).toISOString() },
    };
  });
}

export function peerName(address: Address, host: FlowHost): string | null {
  if (isHostAddress(host, address)) return 'host';
  const owner = nicIndexOf(host.desired).ownerOf(address);
  return owner === undefined ? null : `container:${owner.nic.container}`;
}
