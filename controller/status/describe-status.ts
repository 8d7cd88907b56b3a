/** What the status file says, out of the last pass. */

import type { Container } from '../../policies/endpoint.ts';
import type { LoadedPolicies } from '../../policies/load-policies.ts';
import { formatMoment } from '../../policies/moment.ts';
import type { EnforcedPolicy } from '../../policies/nic-plans.ts';
import { policyPath } from '../../policies/policy-files.ts';
import { isError, type Problem } from '../../policies/problem.ts';
import { rulesOf } from '../../policies/rule-ends.ts';
import type { NicState, Sysctl } from '../../render/desired.ts';
import type { DnsName } from '../../render/dns-name.ts';
import type { DnsRecord } from '../../watchers/dns-record.ts';
import { observingOf } from '../denials/observing.ts';
import { whyNotEnforced } from '../explain/why-not-enforced.ts';
import type { HostReader } from '../host/host-reader.ts';
import type { KnownContainer } from '../host/known-containers.ts';
import { unenforcedOf } from '../host/unenforceable-nics.ts';
import { mapInTurns } from '../in-turns.ts';
import type { PanicView } from '../panic/panic-state.ts';
import { problemsOf } from '../pass/assemble.ts';
import type { Outcome } from '../pass/outcome.ts';
import type { UnreadReading } from '../pass/patience.ts';
import type { RevisionView } from '../revisions/revision-view.ts';
import { describeWires } from '../traffic/describe-wires.ts';
import { limitProblems } from '../traffic/limit-problems.ts';
import type {
  ContainerStatus,
  EndStatus,
  NameStatus,
  NicStatus,
  Serves,
  StatusFile,
  SysctlStatus,
} from './status-shape.ts';

/** What a pass doesn't know of itself. Times are ISO 8601 in UTC. */
export interface ServiceFacts {
  readonly pid: number;
  /** Clock ticks since boot. */
  readonly started: number;
  readonly since: string;
  readonly enforcedAt: string;
  readonly drift: { readonly count: number; readonly last: string | null };
  readonly watchers: ReadonlyMap<string, string>;
  readonly unread: readonly UnreadReading[];
  readonly serves: Serves;
  /** By NIC key: since when what is in force for it is. */
  readonly nicsSince: ReadonlyMap<string, string>;
  readonly revision: RevisionView;
  /** By name: what is known of it. */
  readonly records: ReadonlyMap<string, DnsRecord>;
  readonly panic: PanicView;
}

export async function describeStatus(outcome: Outcome, reader: HostReader, facts: ServiceFacts): Promise<StatusFile> {
  const { enforced } = outcome.applied;
  const { nicsSince: _, records: __, unread, ...service } = facts;
  return {
    ...service,
    generation: null,
    containers: await mapInTurns([...reader.known.values()], (known) => describeContainer(known, outcome, facts)),
    sysctls: await uniqueSysctls(enforced.nics.values()),
    problems: [...reader.configProblems, ...sharedProblems(reader.loaded), ...outcome.assembled.wireProblems],
    ...describeWires(reader.config.wires, outcome),
    watchers: Object.fromEntries(facts.watchers),
    ...(unread.length === 0 ? {} : { unread }),
    names: outcome.assembled.names.map((name) => describeName(name, outcome, facts)),
  };
}

/** Errors of profiles, sets and services; a container's own file is told with the container. */
export const sharedProblems = ({ problems }: Pick<LoadedPolicies, 'problems'>): Problem[] =>
  problems.filter((problem) => isError(problem) && !problem.file.startsWith('containers/'));

/** All containers stand in it, and an event mostly changed one: what is described from the same is the same. */
function describeContainer(
  { container, name, runtime: { state } }: KnownContainer,
  { assembled, applied, traffic }: Outcome,
  facts: ServiceFacts,
): ContainerStatus {
  const { id, endpoints } = container;
  const policy = assembled.policies.get(id);
  const from: DescribedFrom = {
    name,
    state,
    policy,
    problems: assembled.problems.get(id),
    unenforceable: assembled.unenforceable.get(id),
    failures: traffic.length === 0 ? NO_FAILURES : traffic,
    refused: refusalOf(endpoints, applied),
  };
  const known = described.get(container);
  if (known !== undefined && isFrom(known, from, endpoints, applied, facts)) return known.status;
  const nics = endpoints.map(({ key }) => applied.enforced.nics.get(key));
  const since = endpoints.map(({ key }) => facts.nicsSince.get(key));
  const enforced = nics.flatMap((nic) => nic ?? []);
  const status: ContainerStatus = {
    container: name,
    state,
    policy: {
      file: policy?.file ?? null,
      status: policy?.status ?? 'closed',
      observing: observingOf(policy?.enforced),
    },
    since:
      since
        .flatMap((time) => time ?? [])
        .sort()
        .at(-1) ?? null,
    problems: [...problemsOf(assembled, container), ...enforced.flatMap((nic) => limitProblems(nic, from.failures))],
    nics: enforced.map(describeNic),
    ...(endpoints.length === 0 ? { ours: false } : {}),
    ...unenforcedOf(container),
    ends: policy === undefined ? [] : describeEnds(policy.enforced),
    refused: from.refused ?? null,
  };
  described.set(container, { from, nics, since, status });
  return status;
}

/** What a container's status tells of, beside itself and its NICs. */
interface DescribedFrom {
  readonly name: string;
  readonly state: string;
  readonly policy: ReturnType<Outcome['assembled']['policies']['get']>;
  readonly problems: readonly Problem[] | undefined;
  readonly unenforceable: ReturnType<Outcome['assembled']['unenforceable']['get']>;
  readonly failures: Outcome['traffic'];
  readonly refused: string | undefined;
}

interface Described {
  readonly from: DescribedFrom;
  /** As enforced, and since when; in the order of the container's endpoints. */
  readonly nics: readonly (NicState | undefined)[];
  readonly since: readonly (string | undefined)[];
  readonly status: ContainerStatus;
}

const NO_FAILURES: Outcome['traffic'] = [];

const described = new WeakMap<Container, Described>();

/** Asked of all for each event: nothing is made that would have to be collected, and each field is named, which is quicker. */
function isFrom(
  { from, nics, since }: Described,
  now: DescribedFrom,
  endpoints: Container['endpoints'],
  { enforced }: Outcome['applied'],
  { nicsSince }: ServiceFacts,
): boolean {
  for (const [index, { key }] of endpoints.entries())
    if (nics[index] !== enforced.nics.get(key) || since[index] !== nicsSince.get(key)) return false;
  return (
    from.name === now.name &&
    from.state === now.state &&
    from.policy === now.policy &&
    from.problems === now.problems &&
    from.unenforceable === now.unenforceable &&
    from.failures === now.failures &&
    from.refused === now.refused
  );
}

function refusalOf(endpoints: Container['endpoints'], applied: Outcome['applied']): string | undefined {
  for (const { key } of endpoints) {
    const why = whyNotEnforced(applied, key);
    if (why !== undefined) return why;
  }
  return undefined;
}

/** The alternatives of a rule end together. */
function describeEnds(policy: EnforcedPolicy): EndStatus[] {
  const ends = [...rulesOf(policy)].flatMap(({ until, origin }) => (until === undefined ? [] : [{ until, origin }]));
  const unique = new Map(ends.sort((a, b) => a.until - b.until).map((end) => [JSON.stringify(end), end]));
  return [...unique.values()].map(({ until, origin: { file, line } }) => ({
    file: policyPath(file),
    line,
    until: formatMoment(until),
  }));
}

function describeName(name: DnsName, { assembled, applied }: Outcome, { records }: ServiceFacts): NameStatus {
  const record = records.get(name);
  const timeOf = (ms: number | null | undefined): string | null =>
    ms === null || ms === undefined || ms === 0 ? null : new Date(ms).toISOString();
  return {
    name,
    addresses: applied.enforced.dns.get(name) ?? [],
    ignored: (assembled.ignoredAnswers.get(name) ?? []).map(({ address, why }) => `${address}: ${why}`),
    answered: timeOf(record?.answered),
    next: timeOf(record?.next),
    error: record?.error ?? null,
  };
}

const describeNic = ({ nic, hostVeth, owned }: NicState): NicStatus => ({ nic, hostVeth, addresses: owned });

async function uniqueSysctls(nics: Iterable<NicState>): Promise<SysctlStatus[]> {
  const unique = new Map<string, Sysctl>();
  await mapInTurns(nics, ({ sysctls }) => {
    for (const sysctl of sysctls) unique.set(sysctl.key, sysctl);
  });
  return await mapInTurns(unique.values(), describeSysctl);
}

function describeSysctl(sysctl: Sysctl): SysctlStatus {
  const known = describedSysctls.get(sysctl);
  if (known !== undefined) return known;
  const { key, value, reason } = sysctl;
  const status = { key, value, reason };
  describedSysctls.set(sysctl, status);
  return status;
}

const describedSysctls = new WeakMap<Sysctl, SysctlStatus>();
