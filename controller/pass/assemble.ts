/** Everything that was read, put together: the policies, and the state that follows. */
import type { AddressBook } from '../../policies/address-book.ts';
import { type Compiled, createCompiler } from '../../policies/compile.ts';
import type { CompiledPolicy } from '../../policies/compile-policy.ts';
import { type CompiledWires, compileWires } from '../../policies/compile-wires.ts';
import type { HostConfig } from '../../policies/config.ts';
import { type JudgedAnswers, judgeAnswers, namesIn } from '../../policies/dns-answers.ts';
import type { Container } from '../../policies/endpoint.ts';
import { networkKey } from '../../policies/expectations/expectation-facts.ts';
import { describeHost, type HostLink, type HostNetwork } from '../../policies/host-network.ts';
import type { LoadedPolicies } from '../../policies/load-policies.ts';
import type { EnforcedPolicy } from '../../policies/nic-plans.ts';
import type { Problem } from '../../policies/problem.ts';
import { endsOf, hasEnded } from '../../policies/rule-ends.ts';
import type { TakenAddresses } from '../../policies/taken-addresses.ts';
import type { UplinkFacts } from '../../policies/uplink-facts.ts';
import { wiredPolicyProblems } from '../../policies/wired-nics.ts';
import type { DnsAddresses, DnsName } from '../../render/dns-name.ts';
import { followParts } from '../../render/followed-parts.ts';
import { type InterfaceName, matchesAny } from '../../render/names.ts';
import { followValues } from '../../render/shared-map.ts';
import type { BackendName } from '../apply/backend.ts';
import { unenforceableNetworks } from '../host/unenforceable-networks.ts';
import { keepEqual, rememberLast } from '../remember.ts';
import { type ContainerPolicy, lazyFacts, type PolicyArguments, PolicyChooser } from './choose-policies.ts';
import { createBooks } from './configured-addresses.ts';

/** What was read from files and the kernel; equal parts keep their identity from one reading to the next. */
export interface HostInputs {
  readonly config: HostConfig;
  /** Which backend serves, where the host could be asked; without it, as configured. */
  readonly backend?: BackendName | undefined;
  readonly loaded: LoadedPolicies;
  readonly containers: readonly Container[];
  readonly links: readonly HostLink[];
  /** By endpoint key: the host-side veths of running containers. */
  readonly veths: ReadonlyMap<string, InterfaceName>;
  /** By container name: what was good in an earlier run, for policies that are broken from the start of this one. */
  readonly lastGood: ReadonlyMap<string, CompiledPolicy>;
  /** What DNS told for the names that policies mean, as far as it is known. */
  readonly answers: DnsAddresses;
  /** See UplinkReader; absent where no policy has an uplink. */
  readonly uplinkFacts?: UplinkFacts | undefined;
  /** See AddressClaims. */
  readonly taken?: TakenAddresses | undefined;
  /** See UnclaimedVeths; the same list while they are the same. */
  readonly unclaimed?: readonly InterfaceName[];
  /** Milliseconds since 1970, as Date.now() tells them. */
  readonly now: number;
}

export interface Assembled extends Compiled {
  /** From which it was put together; the same list while none changed. */
  readonly containers: readonly Container[];
  /** By container id. */
  readonly policies: ReadonlyMap<string, ContainerPolicy>;
  readonly network: HostNetwork;
  readonly book: AddressBook;
  /** By container id: networks that nothing can be enforced on, and what the backend can't do for them. */
  readonly unenforceable: ReadonlyMap<string, readonly Problem[]>;
  /** Mistakes in routewall.yaml's wires. */
  readonly wireProblems: readonly Problem[];
  /** Names that policies mean, and answers for them that don't count. */
  readonly names: readonly DnsName[];
  readonly ignoredAnswers: JudgedAnswers['ignored'];
  /** The moments at which rules end, past and to come, in seconds since 1970, ascending. */
  readonly ends: readonly number[];
  /** The time by which the policies were chosen, in milliseconds. */
  readonly chosenAt: number;
  /** The same with other veths; who holds what is as it was last put together. */
  withVeths(veths: HostInputs['veths']): Assembled;
}

export interface Assembler {
  assemble(inputs: HostInputs): Assembled;
  /** What was enforced until now is no container's last good policy any more. */
  forgetLastGood(): void;
}

/** Remembers the last result: what didn't change is neither compiled nor rendered again. `adopted`: see createCompiler. */
export function createAssembler(adopted?: ReadonlySet<string>): Assembler {
  const compiler = createCompiler(adopted);
  const bookOf = createBooks();
  const networkOf = createNetworks();
  const settingsOf = rememberLast(buildSettings);
  const enforcedOf = followValues<string, ContainerPolicy, EnforcedPolicy>(({ enforced }) => enforced);
  const namesOf = followParts(namesIn, (names) => [...names].sort());
  const answersOf = rememberLast(judgeAnswers);
  const withWires = createWiring();
  const unenforceableOf = rememberLast(unenforceableNetworks);
  const chooser = new PolicyChooser();
  // Time alone changes nothing until a rule ends, or the clock is set back before an end: then a period begins.
  let period = 0;
  let present = 0;
  let chosenAt = 0;
  const endsOfAll = followParts(endsOfPolicy, (ends) => [...ends].sort((a, b) => a - b));
  const policiesOf = rememberLast((_period: number, ...args: PolicyArguments) => {
    chosenAt = present;
    return chooser.choose(chosenAt, ...args);
  });
  const steadyNetwork = keepEqual(networkKey);
  const factsOf = rememberLast(lazyFacts);
  return {
    assemble: (inputs) => {
      const { config, loaded, containers, links, veths, lastGood, answers, uplinkFacts, taken, unclaimed, now } =
        inputs;
      const book = bookOf(containers, loaded);
      const network = networkOf(links, config, containers, uplinkFacts);
      present = now;
      if (endsOfAll(chooser.chosen).some((end) => hasEnded(end, now) !== hasEnded(end, chosenAt))) period += 1;
      const facts = factsOf(steadyNetwork(network), containers, book, config);
      const policies = policiesOf(period, containers, loaded, book, lastGood, config, facts);
      const enforced = enforcedOf(policies);
      const names = namesOf(enforced);
      const { dns, ignored: ignoredAnswers } = answersOf(names, answers, network, book, config.dns.accept);
      const input = {
        containers,
        policies: enforced,
        veths,
        network,
        dns,
        taken,
        settings: settingsOf(config, unclaimed),
      };
      const ends = endsOfAll(policies);
      const unenforceable = unenforceableOf(containers, policies, loaded, config, inputs.backend);
      const common = { containers, policies, network, book, unenforceable, names, ignoredAnswers, ends, chosenAt };
      const assembled = (compiled: Compiled, running: HostInputs): Assembled => ({
        ...withWires(compiled, running, network),
        ...common,
        withVeths: (other) => assembled(compiler.tryOut({ ...input, veths: other }), { ...inputs, veths: other }),
      });
      return assembled(compiler.compile(input), inputs);
    },
    forgetLastGood: () => chooser.forget(),
  };
}

/** Most hosts have none, and nothing changes for them. */
function createWiring(): (
  compiled: Compiled,
  inputs: HostInputs,
  network: HostNetwork,
) => Compiled & { readonly wireProblems: readonly Problem[] } {
  const steady = keepEqual((wires: CompiledWires['wires']) => JSON.stringify(wires));
  return (compiled, { config, containers, veths, loaded }, network) => {
    if (config.wires.length === 0) return { ...compiled, wireProblems: NONE };
    const { guard } = config;
    const { wires, problems: wireProblems } = compileWires({ wires: config.wires, containers, veths, network, guard });
    const problems = new Map(compiled.problems);
    for (const container of containers) {
      const found = wiredPolicyProblems(container, loaded);
      if (found.length > 0) problems.set(container.id, [...(problems.get(container.id) ?? []), ...found]);
    }
    const desired = wires.length === 0 ? compiled.desired : { ...compiled.desired, wires: steady(wires) };
    return { ...compiled, desired, problems, wireProblems };
  };
}

const NONE: readonly Problem[] = [];

/** Everything that is wrong with one container: its configuration, its policy, and what it claims or is told in vain. */
export const problemsOf = (
  { policies, problems, unenforceable }: Pick<Assembled, 'policies' | 'problems' | 'unenforceable'>,
  { id, problems: own }: Container,
): readonly Problem[] => {
  const others = [unenforceable.get(id), policies.get(id)?.compiled.problems, problems.get(id)];
  const found = [own, ...others].filter((some) => some !== undefined && some.length > 0);
  // Asked of each container, of which most have none.
  return found.length === 0 ? NONE : found.flatMap((some) => some ?? []);
};

const endsOfPolicy = ({ compiled, enforced, good = compiled }: ContainerPolicy): readonly number[] =>
  endsOf(good === compiled ? compiled.lookups : [...compiled.lookups, ...good.lookups], enforced);

const NO_VETHS: readonly InterfaceName[] = [];

const buildSettings = (config: HostConfig, unclaimed: readonly InterfaceName[] = NO_VETHS) => ({
  guardPatterns: config.guard,
  log: config.log,
  connections: config.connections,
  uplinks: config.uplinks === 'auto' ? [] : config.uplinks,
  guardedToo: [
    ...config.wires.flatMap(({ a, b }) => [a, b].flatMap((end) => (end.kind === 'interface' ? [end.dev] : []))),
    ...unclaimed.filter((name) => !matchesAny(name, config.guard)),
  ],
});

/** The same network while links are, whatever containers come and go: all that is compiled hangs on it. */
function createNetworks(): typeof buildNetwork {
  const networkOf = rememberLast(buildNetwork);
  let last: { readonly links: readonly HostLink[]; readonly network: HostNetwork } | undefined;
  return (links, config, containers, uplinkFacts) => {
    const network = networkOf(links, config, containers, uplinkFacts);
    const isSame =
      last?.links === links &&
      last.network.uplinkFacts === uplinkFacts &&
      last.network.uplinks.join(' ') === network.uplinks.join(' ');
    if (last === undefined || !isSame) last = { links, network };
    return last.network;
  };
}

function buildNetwork(
  links: readonly HostLink[],
  config: HostConfig,
  containers: readonly Container[],
  uplinkFacts: UplinkFacts | undefined,
): HostNetwork {
  const veths = new Set<InterfaceName>();
  for (const { endpoints, wired = [] } of containers)
    for (const nics of [endpoints, wired])
      for (const { fixedVeth } of nics) if (fixedVeth !== undefined) veths.add(fixedVeth);
  const host = describeHost(links, { uplinks: config.uplinks, guard: config.guard, veths });
  return uplinkFacts === undefined ? host : { ...host, uplinkFacts };
}
