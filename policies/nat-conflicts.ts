/** Translations that a NIC asks for and doesn't get, and what is told about them. */
import { type Address, contains, familyOf, type Prefix, rangeOf } from '../render/address.ts';
import type { Origin, PolicyChain } from '../render/rule.ts';
import type { Publication } from '../render/translation.ts';
import { type CompiledPublication, shownPorts } from './compile-nat.ts';
import type { Container, Endpoint } from './endpoint.ts';
import type { HostNetwork } from './host-network.ts';
import { type LostTranslations, type NatPlan, publicationKey, publicationsOf } from './nic-nat.ts';
import { policyPath } from './policy-files.ts';
import type { Problem, Severity } from './problem.ts';
import { isRefused } from './refused-publications.ts';

/** A NIC that translates something. */
export interface Translating {
  readonly container: Container;
  readonly endpoint: Endpoint;
  readonly prefixes: readonly Prefix[];
  readonly ingress: PolicyChain;
  readonly nat?: NatPlan;
}

interface Wanted {
  readonly nic: Translating;
  readonly publication: Publication;
}

export interface Standing {
  /** What runs, by NIC key. */
  readonly running: ReadonlyMap<string, unknown>;
  /** Whether the NIC has it in the kernel. */
  readonly holds: (key: string, publication: Publication) => boolean;
}

type Report = (container: Container, problem: Problem) => void;

/** By NIC key; each is reported. */
export function lostTranslations(
  nics: readonly Translating[],
  network: HostNetwork,
  standing: Standing,
  report: Report,
): Map<string, LostTranslations> {
  const found = new Map<string, LostTranslations>();
  const translating = nics.filter(({ nat }) => nat !== undefined);
  if (translating.length === 0) return found;
  const lost = new Map<string, Set<string>>();
  for (const { nic, publication, by } of refusedPublications(translating, network, standing)) {
    lost.set(nic.endpoint.key, (lost.get(nic.endpoint.key) ?? new Set()).add(publicationKey(publication)));
    const who =
      by.nic.container === nic.container ? 'another entry of this policy' : `container ${by.nic.container.name}`;
    const what = `${shownPorts(publication)} on ${publication.on}`;
    tell(
      report,
      nic,
      publication.origin,
      'error',
      `${what} is published by ${who}: this one gets it when that one stops, or publish another port`,
    );
  }
  const owners = nics.flatMap(({ container, prefixes }) =>
    prefixes.map((prefix) => ({ container, range: rangeOf(prefix) })),
  );
  const ownerOf = (address: Address): Container | undefined =>
    owners.find(({ range }) => contains(range, address))?.container;
  for (const nic of translating) {
    const refused = judgeMasquerade(nic, network, ownerOf, report);
    judgePublications(nic, network, ownerOf, report);
    warnOfRefused(nic, report);
    found.set(nic.endpoint.key, { lost: lost.get(nic.endpoint.key) ?? new Set(), refused });
  }
  return found;
}

const tell = (report: Report, { container }: Translating, origin: Origin, severity: Severity, message: string): void =>
  report(container, {
    file: policyPath(origin.file),
    line: origin.line,
    column: origin.column ?? 1,
    message,
    severity,
  });

/** What is held comes first, then what runs, then by key, as with addresses. */
function refusedPublications(
  nics: readonly Translating[],
  network: HostNetwork,
  { running, holds }: Standing,
): (Wanted & { readonly by: Wanted })[] {
  const places = new Map<string, Wanted[]>();
  for (const nic of nics) {
    if (nic.nat === undefined) continue;
    for (const publication of publicationsOf(nic.nat, nic.prefixes, network)) {
      const place = `${publication.protocol} ${publication.on}`;
      const list = places.get(place) ?? [];
      list.push({ nic, publication });
      places.set(place, list);
    }
  }
  const rank = ({ nic, publication }: Wanted): number =>
    holds(nic.endpoint.key, publication) ? 0 : running.has(nic.endpoint.key) ? 1 : 2;
  return [...places.values()].flatMap((all) => {
    const contested = contestedOf(all).sort(
      (a, b) => rank(a) - rank(b) || (a.nic.endpoint.key < b.nic.endpoint.key ? -1 : 1),
    );
    const won: Wanted[] = [];
    return contested.flatMap((wanted) => {
      const by = won.find((other) => overlap(other, wanted));
      if (by !== undefined) return [{ ...wanted, by }];
      won.push(wanted);
      return [];
    });
  });
}

const overlap = ({ publication: { ports: a } }: Wanted, { publication: { ports: b } }: Wanted): boolean =>
  a.first <= b.last && b.first <= a.last;

/** One sweep: each is compared with those before it that reach so far. */
function contestedOf(all: readonly Wanted[]): Wanted[] {
  const contested = new Set<Wanted>();
  let open: Wanted[] = [];
  for (const wanted of [...all].sort((a, b) => a.publication.ports.first - b.publication.ports.first)) {
    open = open.filter((other) => overlap(other, wanted));
    for (const other of open) contested.add(other).add(wanted);
    open.push(wanted);
  }
  return [...contested];
}

/** Another container's address would make its answers ours. @returns the addresses that are refused */
function judgeMasquerade(
  nic: Translating,
  network: HostNetwork,
  ownerOf: (address: Address) => Container | undefined,
  report: Report,
): Set<Address> {
  const refused = new Set<Address>();
  const { masquerade, masqueradeOrigin: origin } = nic.nat?.policy ?? { masquerade: {} };
  if (origin === undefined) return refused;
  for (const family of [4, 6] as const) {
    const as = masquerade[family];
    if (as?.kind !== 'address' || network.addresses.has(as.address)) continue;
    const owner = ownerOf(as.address);
    if (owner === undefined) {
      const message = `${as.address} is no address of this host at present: answers come only if it is routed here`;
      tell(report, nic, origin, 'warning', message);
    } else {
      refused.add(as.address);
      tell(
        report,
        nic,
        origin,
        'error',
        `${as.address} belongs to container ${owner.name}: masquerade as an address of this host`,
      );
    }
  }
  return refused;
}

function judgePublications(
  nic: Translating,
  network: HostNetwork,
  ownerOf: (address: Address) => Container | undefined,
  report: Report,
): void {
  // Told once, though several NICs may carry it.
  if (nic.nat === undefined || nic.container.endpoints[0]?.key !== nic.endpoint.key) return;
  const families = new Set(nic.container.endpoints.flatMap(({ addresses }) => addresses.map(familyOf)));
  for (const publication of nic.nat.policy.publications) {
    for (const address of publication.on === 'uplinks' ? [] : publication.on) {
      const say = (severity: Severity, message: string): void =>
        tell(report, nic, publication.origin, severity, message);
      const ports = shownPorts(publication);
      if (!families.has(familyOf(address)))
        say('error', `the container has no IPv${familyOf(address)} address that ${ports} on ${address} could lead to`);
      if (network.addresses.has(address)) continue;
      const owner = ownerOf(address);
      if (owner === undefined)
        say('warning', `${address} is no address of this host at present: ${ports} is not published there`);
      else say('error', `${address} belongs to container ${owner.name}: publish on an address of this host`);
    }
    judgeEverywhere(publication, nic, network, report);
  }
}

function judgeEverywhere(
  publication: CompiledPublication,
  nic: Translating,
  network: HostNetwork,
  report: Report,
): void {
  if (publication.on !== 'uplinks' || nic.nat === undefined) return;
  const all = nic.container.endpoints.flatMap(({ addresses }) => addresses.map(familyOf));
  const isAny = network.uplinks.some((name) =>
    network.links
      .get(name)
      ?.addresses.some(({ address, scope }) => scope === 'global' && all.includes(familyOf(address))),
  );
  if (!isAny)
    tell(
      report,
      nic,
      publication.origin,
      'warning',
      `no uplink of this host has an address at present that ${shownPorts(publication)} could be published on`,
    );
}

/** What is published opens nothing. */
function warnOfRefused(nic: Translating, report: Report): void {
  const { serves = [], policy } = nic.nat ?? {};
  for (const publication of policy?.publications ?? []) {
    const { on, toPort, ports, protocol, origin } = publication;
    const families = serves.filter((family) => on === 'uplinks' || on.some((address) => familyOf(address) === family));
    if (families.length === 0 || !isRefused(nic.ingress, publication, families)) continue;
    const own = shownPorts({ protocol, ports: { first: toPort, last: toPort + ports.last - ports.first } });
    const message = `${shownPorts(publication)} leads to ${own}, which the policy's ingress lets nobody reach: allow it there`;
    tell(report, nic, origin, 'warning', message);
  }
}
