/**
 * The kernel's verdict is the model's verdict: random policies, compiled and loaded, and random packets that really go
 * through them. `DIFFERENTIAL_SEED=N` repeats a run, `DIFFERENTIAL_ROUNDS=N` makes it as many times as long.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { nameOf } from '../../controller/apply/apply.ts';
import { type Assembled, createAssembler } from '../../controller/assemble.ts';
import { hostAddresses } from '../../controller/host/host-addresses.ts';
import type { HostAddresses } from '../../policies/flows/peer-addresses.ts';
import { formatProblem } from '../../policies/problem.ts';
import { parseAddress } from '../../render/address.ts';
import { parseDnsName } from '../../render/dns-name.ts';
import { renderDesired } from '../../render/nft.ts';
import type { PolicyChain, Rule, Verdict } from '../../render/rule.ts';
import { renderRuleset } from '../../render/ruleset.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { certain } from '../controller/states.ts';
import { TestHost } from '../policies/compile-host.ts';
import { addressesOfContainer, type Bed, createBed, nameOfContainer, UPLINK } from './differential/bed.ts';
import { type Chains, createJudge, type Trial } from './differential/judge.ts';
import {
  createRandom,
  type Random,
  randomPolicy,
  randomProfile,
  SHARED_FILES,
} from './differential/random-policies.ts';
import { ownersOf, randomTrial } from './differential/random-trials.ts';
import { readWitness, WITNESS, type Witnessed } from './differential/witness.ts';

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

interface Policies {
  readonly assembled: Assembled;
  readonly addresses: HostAddresses;
  readonly chains: readonly Chains[];
  readonly texts: readonly string[];
}

/** A policy that is an error is rolled again: it would be nothing but closed. */
function randomPolicies(random: Random): Policies {
  const now = new Date();
  const host = new TestHost().link(...UPLINK);
  for (const [path, text] of Object.entries(SHARED_FILES)) host.policy(path, text);
  for (const profile of [0, 1, 2]) host.policy(`profiles/p${profile}.yaml`, randomProfile(random, POLICIES));
  const texts: string[] = [];
  const roll = (index: number): void => {
    texts[index] = randomPolicy(random, POLICIES, now);
    host.policy(`containers/${nameOfContainer(index)}.yaml`, certain(texts[index]));
  };
  const indices = Array.from({ length: POLICIES }, (_, index) => index);
  for (const index of indices) {
    const [four, six] = addressesOfContainer(index);
    host.configure(nameOfContainer(index), `ipv4.address = ${four}/32`, `ipv6.address = ${six}/128`);
    host.start(nameOfContainer(index));
    roll(index);
  }
  const answers = new Map([
    [
      certain(parseDnsName('known.example')),
      ['203.0.113.200', '2001:db8:f::200'].map((text) => certain(parseAddress(text))),
    ],
  ]);
  for (let attempt = 0; ; attempt += 1) {
    const inputs = host.inputs();
    const containers = inputs.containers.map((one) => ({ ...one, groups: [`g${Number(one.name.slice(1)) % 3}`] }));
    const assembled = createAssembler().assemble({ ...inputs, containers, answers, now: now.getTime() });
    const policies = indices.map((index) => certain(assembled.policies.get(`/var/lib/lxc/${nameOfContainer(index)}`)));
    const wrong = policies.flatMap(({ compiled: { ok, problems } }, index) => (ok ? [] : [{ index, problems }]));
    if (wrong.length === 0) {
      const chains = indices.map((index) =>
        certain(assembled.desired.nics.get(`/var/lib/lxc/${nameOfContainer(index)}/0`)),
      );
      return { assembled, addresses: hostAddresses(assembled), chains, texts };
    }
    const problems = wrong.flatMap((one) => one.problems).map((problem) => formatProblem(problem));
    if (attempt > 50) throw new Error(`policies can't be made:\n${problems.join('\n')}`);
    // Errors of a profile are told of each who uses it.
    for (const profile of [0, 1, 2]) {
      if (problems.some((text) => text.startsWith(`profiles/p${profile}.`)))
        host.policy(`profiles/p${profile}.yaml`, randomProfile(random, POLICIES));
    }
    for (const { index } of wrong) roll(index);
  }
}

function randomTrials(random: Random, { chains, addresses }: Policies): Trial[] {
  const owners = ownersOf(POLICIES);
  const used = new Set<string>();
  const trials: Trial[] = [];
  while (trials.length < PACKETS) {
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

test.each(Array.from({ length: rounds }, (_, round) => seed + round))(
  'the kernel decides as the model does, and as no other one: seed %i',
  async (number) => {
    const random = createRandom(number);
    const policies = randomPolicies(random);
    const trials = randomTrials(random, policies);
    await bed.host.run('nft', ['flush', 'ruleset']);
    const ruleset = renderRuleset(renderDesired(policies.assembled.desired, nameOf));
    await bed.host.run('nft', ['-f', '-'], { input: `${ruleset}${WITNESS}` });
    await bed.host.run('conntrack', ['-F']);
    let witnessed = await sendAll(trials);

    const now = Math.floor(policies.assembled.chosenAt / 1000);
    const differ = (chains: readonly Chains[]): Difference[] => {
      const judge = createJudge(chains, policies.addresses, now);
      return trials.flatMap((trial) => {
        const [model, kernel] = [judge(trial), observed(witnessed, trial)];
        return agrees(model, kernel, trial) ? [] : [{ trial, model, kernel }];
      });
    };
    let differences = differ(policies.chains);
    // On a busy machine a set of the witness may have no place for one while it grows; what the rules drop they drop again.
    const unseen = differences.filter(({ kernel }) => kernel === 'drop').map(({ trial }) => trial);
    if (unseen.length > 0) {
      await bed.host.run('conntrack', ['-F']);
      await bed.send(unseen);
      witnessed = await readWitness(bed.host);
      differences = differ(policies.chains);
    }
    const some = differences.slice(0, 3).map((difference) => tellDifference(difference, policies));
    const told = `DIFFERENTIAL_SEED=${number}: ${differences.length} of ${trials.length} differ\n${some.join('\n')}`;
    expect(differences.length, told).toBe(0);

    const missed = Object.entries(MUTANTS).filter(([, mutate]) => {
      const chains = policies.chains.map(({ egress, ingress }) => ({
        egress: mutate(egress),
        ingress: mutate(ingress),
      }));
      return differ(chains).length === 0;
    });
    expect(missed.map(([name]) => `nobody would notice a model that ${name}`)).toEqual([]);
  },
  // A fifth of it on a machine that has nothing else to do.
  120_000,
);

interface Difference {
  readonly trial: Trial;
  readonly model: Verdict;
  readonly kernel: Verdict;
}

function tellDifference({ trial, model, kernel }: Difference, { texts }: Policies): string {
  const concerned = [trial.from, trial.to].filter((index) => typeof index === 'number');
  const policies = concerned.map((index) => `c${index}:\n${texts[index]}`);
  return [`the model says ${model}, the kernel ${kernel}: ${shown(trial)}`, ...policies].join('\n');
}
