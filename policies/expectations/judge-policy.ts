/** Whether a compiled policy does what it is expected to; one that doesn't counts as broken. */
import type { Family } from '../../render/address.ts';
import type { Origin, PolicyChain, Verdict } from '../../render/rule.ts';
import { chainHash, rulesHash } from '../chain-hash.ts';
import { type CompiledNic, type CompiledPolicy, closedPolicy, policyOfNic } from '../compile-policy.ts';
import { describeRule } from '../describe-rule.ts';
import { describeServices } from '../flows/describe-services.ts';
import { type Problem, uniqueProblems } from '../problem.ts';
import type { Expectation } from './expectation.ts';
import type { ExpectationFacts } from './expectation-facts.ts';
import { type Exception, exceptionsOf } from './find-exception.ts';

/** A NIC of a container as policies name it. */
interface NamedNic {
  readonly nic: string;
  readonly index: number;
}

export interface Judge {
  /** The very same policy where all expectations hold. `nics`: those of its container; absent where nobody knows. */
  judge(compiled: CompiledPolicy, nics?: readonly NamedNic[]): CompiledPolicy;
}

/** For one pass: equal questions about equal chains are answered once. */
export function createJudge(facts: () => ExpectationFacts): Judge {
  const known = new Map<string, Exception | undefined>();
  const exceptionOf = (expectation: Expectation, chain: PolicyChain, find: Find): Exception | undefined => {
    const key = `${expectation.verdict} ${rulesHash(expectation.matches)} ${chainHash(chain)}`;
    if (!known.has(key)) known.set(key, find(expectation, chain));
    return known.get(key);
  };
  return {
    judge: (compiled, nics) => {
      if (!compiled.ok || compiled.expectations.length === 0) return compiled;
      const chains = chainsInUse(compiled, nics);
      const find = finderOf(compiled.expectations, facts);
      const violations = compiled.expectations.flatMap((expectation) => {
        for (const [where, nic] of chains) {
          const chain = nic[expectation.direction];
          const exception = exceptionOf(expectation, chain, find);
          if (exception === undefined) continue;
          const who = expectation.file === compiled.file && !isShared(compiled) ? '' : `${compiled.container}: `;
          return [expectation.problem(`${who}${complaint({ expectation, exception, chain, where })}`)];
        }
        return [];
      });
      return violations.length === 0 ? compiled : broken(compiled, violations);
    },
  };
}

type Find = (expectation: Expectation, chain: PolicyChain) => Exception | undefined;

/** A chain's flows are cut once for all expectations: of 2,000 rules that takes a third of a second. */
function finderOf(expectations: readonly Expectation[], facts: () => ExpectationFacts): Find {
  const finders = new Map<PolicyChain, ReturnType<typeof exceptionsOf>>();
  return (expectation, chain) => {
    const known = finders.get(chain);
    if (known !== undefined) return known(expectation);
    const about = expectations.filter(({ direction }) => direction === chain.direction);
    const finder = exceptionsOf(chain, about, facts());
    finders.set(chain, finder);
    return finder(expectation);
  };
}

/** The file of containers without one of their own. */
const isShared = ({ file }: CompiledPolicy): boolean => file?.startsWith('containers/_default.') === true;

const broken = (compiled: CompiledPolicy, violations: readonly Problem[]): CompiledPolicy => ({
  ...compiled,
  ok: false,
  ...{ default: closedPolicy, interfaces: new Map(), routes: [] },
  problems: uniqueProblems([...compiled.problems, ...violations]),
});

type PlacedNic = readonly [where: string, chains: CompiledNic];

/** Where all NICs have rules of their own, the container-wide ones decide nothing. */
function chainsInUse(compiled: CompiledPolicy, nics: readonly NamedNic[] | undefined): PlacedNic[] {
  if (nics === undefined || nics.length === 0) {
    const own = [...compiled.interfaces].map(([name, chains]): PlacedNic => [` on ${name}`, chains]);
    return own.length > 0 && !isStated(compiled.default) ? own : [['', compiled.default], ...own];
  }
  const where = (nic: string): string => (nics.length > 1 ? ` on ${nic}` : '');
  return nics.map(({ nic, index }): PlacedNic => [where(nic), policyOfNic(compiled, { name: nic, index })]);
}

const isStated = ({ egress, ingress }: CompiledNic): boolean =>
  [egress, ingress].some(({ rules, default: { origin } }) => rules.length > 0 || origin !== null);

export const PAST: Readonly<Record<Verdict, string>> = { allow: 'allowed', drop: 'dropped', reject: 'rejected' };

interface Violation {
  readonly expectation: Expectation;
  readonly exception: Exception;
  readonly chain: PolicyChain;
  readonly where: string;
}

/** `expected drop tcp/25 to any, but tcp/25 to 1.0.0.0 is allowed by web.yaml:7:9 (allow any to internet)` */
function complaint({ expectation, exception, chain, where }: Violation): string {
  const { text, direction } = expectation;
  const { family, service, verdict } = exception;
  const flow = `${serviceText(service, family)} ${direction === 'egress' ? 'to' : 'from'} ${exception.peer}`;
  return `expected ${text}, but ${flow} is ${PAST[verdict]}${where} by ${decisionText(exception, chain)}`;
}

export const serviceText = (place: number, family: Family): string =>
  describeServices([{ first: place, last: place }], [family], new Map()).words.join();

/** `web.yaml:7:9 (allow any to internet)` */
export function decisionText(
  { position, verdict }: Pick<Exception, 'position' | 'verdict'>,
  chain: PolicyChain,
): string {
  const rule = position === null ? undefined : chain.rules[position];
  const said = rule?.action ?? chain.default.verdict;
  if (chain.observe !== undefined && said !== verdict) return placed(chain.observe.origin, 'mode: observe');
  if (rule !== undefined) return placed(rule.origin, describeRule(rule, chain.direction));
  const { origin } = chain.default;
  return origin === null ? `the default, ${said}, since no rule matches` : placed(origin, `default: ${said}`);
}

const placed = (origin: Origin, words: string): string => {
  return `${origin.file}:${origin.line}${origin.column === undefined ? '' : `:${origin.column}`} (${words})`;
};
