/**
 * The kernel's verdict is the model's verdict: random policies, compiled and loaded, and random packets that really go
 * through them. `DIFFERENTIAL_SEED=N` repeats a run, `DIFFERENTIAL_ROUNDS=N` makes it as many times as long.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { nameOf } from '../../controller/apply/apply.ts';
import { renderDesired } from '../../render/nft.ts';
import type { PolicyChain, Rule, Verdict } from '../../render/rule.ts';
import { renderRuleset } from '../../render/ruleset.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { certain } from '../controller/states.ts';
import { type Bed, createBed } from './differential/bed.ts';
import { fewestRules } from './differential/fewest-rules.ts';
import { type Chains, createJudge, type Trial } from './differential/judge.ts';
import { type Policies, policiesOf, randomPolicies, type Texts } from './differential/random-host.ts';
import { createRandom, type Random } from './differential/random-policies.ts';
import { ownersOf, randomTrial } from './differential/random-trials.ts';
import { readWitness, type Witnessed, witnessOf } from './differential/witness.ts';

const POLICIES = 200;
const PACKETS = 8_000;
const rounds = Number(process.env['DIFFERENTIAL_ROUNDS'] ?? 1);
const seed = Number(process.env['DIFFERENTIAL_SEED'] ?? Date.now() % 1_000_000);
const FIRST_ID = 1024;

let bed: Bed;
beforeAll(async () => {
  bed = await createBed(POLICIES);
});
afterAll(cleanUp);

function randomTrials(random: Random, { chains, addresses }: Policies, count = PACKETS): Trial[] {
  const owners = ownersOf(chains.length);
  const used = new Set<string>();
  const trials: Trial[] = [];
  while (trials.length < count) {
    const trial = randomTrial(random, chains, addresses, owners, used, FIRST_ID + trials.length);
    if (trial !== undefined) trials.push(trial);
  }
  return trials;
}

async function sendAll(trials: readonly Trial[]): Promise<Witnessed> {
  let left = trials;
  for (let attempt = 0; ; attempt += 1) {
    await bed.send(left);
    const witnessed = await readWitness(bed.host);
    left = trials.filter(({ packet }) => !witnessed.came.has(packet.id));
    if (left.length === 0) return witnessed;
    if (attempt === 5) throw new Error(`${left.length} packets never came, such as ${JSON.stringify(left[0])}`);
  }
}

/** The kernel answers no error message, and none of a type that it doesn't know. */
const isAnswered = ({ packet: { family, icmpType } }: Trial): boolean =>
  icmpType === undefined || (family === 4 ? icmpType <= 18 : icmpType >= 128);

function observed({ came: _, passed, answered }: Witnessed, { packet: { id } }: Trial): Verdict {
  if (passed.has(id)) return 'allow';
  return answered.has(id) ? 'reject' : 'drop';
}

function agrees(model: Verdict, kernel: Verdict, trial: Trial): boolean {
  return model === kernel || (model === 'reject' && kernel === 'drop' && !isAnswered(trial));
}

const shown = ({ from, to, packet }: Trial): string =>
  JSON.stringify({ from, to, ...packet }, (_key, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  );

/** Models that are wrong in one thing. */
const MUTANTS: Readonly<Record<string, (chain: PolicyChain) => PolicyChain>> = {
  'allows what it drops': ({ default: byDefault, ...chain }) => ({
    ...chain,
    default: { ...byDefault, verdict: byDefault.verdict === 'drop' ? 'allow' : byDefault.verdict },
  }),
  'rejects what it drops': ({ default: byDefault, ...chain }) => ({
    ...chain,
    default: { ...byDefault, verdict: byDefault.verdict === 'drop' ? 'reject' : byDefault.verdict },
  }),
  'lets the last match win': (chain) => ({ ...chain, rules: chain.rules.toReversed() }),
  'ends each range of ports one port early': everyRule((rule) => {
    if (rule.service.kind !== 'ports') return rule;
    const ports = rule.service.ports.map(({ first, last }) => ({ first, last: Math.max(first, last - 1) }));
    return { ...rule, service: { ...rule.service, ports } };
  }),
  'ends each range of peers one address late': everyRule((rule) => {
    if (rule.peer.kind !== 'ranges') return rule;
    const ranges = rule.peer.ranges.map((range) => ({ ...range, last: range.last + 1n }));
    return { ...rule, peer: { ...rule.peer, ranges } };
  }),
  'takes the lan for the internet': everyRule((rule) =>
    rule.peer.kind === 'internet' ? { ...rule, peer: { kind: 'any' } } : rule,
  ),
  'takes every type of ICMP for the one': everyRule((rule) =>
    rule.service.kind === 'icmp' ? { ...rule, service: { kind: 'icmp', family: rule.service.family } } : rule,
  ),
  'takes UDP for TCP': everyRule((rule) =>
    rule.service.kind === 'ports' && rule.service.protocol === 17
      ? { ...rule, service: { ...rule.service, protocol: 6 } }
      : rule,
  ),
  'forgets whom a name stands for': everyRule((rule) =>
    rule.peer.kind === 'dns' ? { ...rule, peer: { kind: 'ranges', family: 4, ranges: [] } } : rule,
  ),
  'observes nobody': ({ observe: _, ...chain }) => chain,
};

function everyRule(change: (rule: Rule) => Rule): (chain: PolicyChain) => PolicyChain {
  return (chain) => ({ ...chain, rules: chain.rules.map(change) });
}

/** Loads them, and sends the packets. */
async function meet({ assembled }: Policies, trials: readonly Trial[]): Promise<Witnessed> {
  await bed.host.run('nft', ['flush', 'ruleset']);
  const ruleset = renderRuleset(renderDesired(assembled.desired, nameOf));
  const witness = witnessOf(trials.map(({ packet }) => packet.id));
  await bed.host.run('nft', ['-f', '-'], { input: `${ruleset}${witness}` });
  await bed.host.run('conntrack', ['-F']);
  return await sendAll(trials);
}

type Mutate = (chain: PolicyChain) => PolicyChain;

/** Where a model that is changed like that and the kernel differ. */
function differ(
  { chains, addresses, assembled }: Policies,
  trials: readonly Trial[],
  seen: Witnessed,
  mutate?: Mutate,
) {
  const judged = chains.map(
    (each): Chains => (mutate === undefined ? each : { egress: mutate(each.egress), ingress: mutate(each.ingress) }),
  );
  const judge = createJudge(judged, addresses, Math.floor(assembled.chosenAt / 1000));
  return trials.flatMap((trial): Difference[] => {
    const [model, kernel] = [judge(trial), observed(seen, trial)];
    return agrees(model, kernel, trial) ? [] : [{ trial, model, kernel }];
  });
}

const SHRINK_MS = 60_000;

/** With the fewest rules that show it, and how to see it again. */
async function tellDifference(
  { trial, model, kernel }: Difference,
  { texts }: Policies,
  now: Date,
  { mutate, ms = SHRINK_MS }: { readonly mutate?: Mutate; readonly ms?: number } = {},
): Promise<string> {
  const concerned = [trial.from, trial.to].filter((index) => typeof index === 'number');
  const end = Date.now() + ms;
  const breaks = async (fewer: Texts): Promise<boolean> => {
    const policies = policiesOf(fewer, now);
    return policies !== undefined && differ(policies, [trial], await meet(policies, [trial]), mutate).length > 0;
  };
  const { containers, profiles } = await fewestRules(texts, concerned, breaks, () => Date.now() < end);
  const used = concerned.flatMap((index) => containers[index] ?? []).join('');
  return [
    `the model says ${model}, the kernel ${kernel}: ${shown(trial)}`,
    ...concerned.map((index) => `c${index}:\n${containers[index]}`),
    ...profiles.flatMap((text, index) =>
      new RegExp(`^use: .*p${index}`, 'm').test(used) ? [`p${index}:\n${text}`] : [],
    ),
  ].join('\n');
}

const again = (number: number): string =>
  `DIFFERENTIAL_SEED=${number} npx vitest run --project kernel test/kernel/differential.test.ts`;

test.each(Array.from({ length: rounds }, (_, round) => seed + round))(
  'the kernel decides as the model does, and as no other one: seed %i',
  async (number) => {
    const random = createRandom(number);
    const now = new Date();
    const policies = randomPolicies(random, POLICIES, now);
    const trials = randomTrials(random, policies);
    const witnessed = await meet(policies, trials);
    const differences = differ(policies, trials, witnessed);
    const [first] = differences;
    if (first !== undefined)
      throw new Error(
        `${differences.length} of ${trials.length} differ; ${again(number)}\n${await tellDifference(first, policies, now)}`,
      );
    const missed = Object.entries(MUTANTS).filter(
      ([, mutate]) => differ(policies, trials, witnessed, mutate).length === 0,
    );
    expect(
      missed.map(([name]) => `nobody would notice a model that ${name}`),
      again(number),
    ).toEqual([]);
  },
  // A fifth of it on a machine that has nothing else to do; and what tells a failure.
  120_000 + SHRINK_MS,
);

test('a difference is told with the rules alone that make it', async () => {
  const random = createRandom(7);
  const now = new Date();
  const policies = randomPolicies(random, 20, now);
  const trials = randomTrials(random, policies, 500);
  const mutate = certain(MUTANTS['lets the last match win']);
  const [first] = differ(policies, trials, await meet(policies, trials), mutate);
  const told = await tellDifference(certain(first), policies, now, { mutate, ms: 150_000 });
  expect(told).toMatch(/^the model says \w+, the kernel \w+: /);
  // Without either of two there is no last match that is another one than the first.
  expect(told.match(/^ {4}- /gm)).toHaveLength(2);
}, 180_000);

interface Difference {
  readonly trial: Trial;
  readonly model: Verdict;
  readonly kernel: Verdict;
}
