/** Rulesets of random valid policies: nft and iptables take them, and make of each line exactly one rule. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { run } from '../../controller/commands/run.ts';
import { describeContainer } from '../../controller/host/containers.ts';
import { holdByXt } from '../../controller/iptables/unsayable-nics.ts';
import { listXtElsewhere, type XtVariant } from '../../controller/iptables/xt-tools.ts';
import { listElsewhere } from '../../controller/kernel/observe.ts';
import { createAssembler } from '../../controller/pass/assemble.ts';
import { chainHash } from '../../policies/chain-hash.ts';
import { defaultConfig } from '../../policies/config.ts';
import type { Container } from '../../policies/endpoint.ts';
import { loadPolicies } from '../../policies/load-policies.ts';
import { formatProblem, isError } from '../../policies/problem.ts';
import type { DesiredState } from '../../render/desired.ts';
import { parseDnsName } from '../../render/dns-name.ts';
import { renderXt } from '../../render/iptables/xt-render.ts';
import type { XtRuleset } from '../../render/iptables/xt-ruleset.ts';
import { type InterfaceName, parseInterfaceName } from '../../render/names.ts';
import { chainNaming, renderDesired } from '../../render/nft.ts';
import type { NftTable, Ruleset } from '../../render/ruleset.ts';
import { fewestPolicies, type Numbered } from '../policies/fewest-policies.ts';
import { groupNames, randomPolicy, sharedFiles } from '../policies/random-policy.ts';
import { parseText } from '../watchers/lxc-config/memory-files.ts';

/** `POLICIES=100000 ATTACK_SEED=7 npx vitest run --project kernel test/kernel/random-policies.test.ts` for longer. */
const POLICIES = Number(process.env['POLICIES'] ?? 10_000);
const SEED = Number(process.env['ATTACK_SEED'] ?? 20_260_301);
/** So many containers share a ruleset: a process of nft for each costs too much, and so does a large ruleset in the kernel. */
const AT_ONCE = 100;

const nameOf = chainNaming(chainHash);
/** Names as LXC takes them; each ends up in comments and log prefixes. */
const nameAt = (index: number): string =>
  `${['web', 'a"; flush ruleset; #', 'é $(x) `y`', "o'clock \\"][index % 4]}${index}`;

function containerAt(index: number): Container {
  const [high, low] = [index >> 8, index & 255];
  const lines = [
    'lxc.net.0.type = veth',
    'lxc.net.0.name = eth0',
    `lxc.net.0.ipv4.address = 198.18.${high}.${low}/32`,
    `lxc.net.0.ipv6.address = 2001:db8:100::${index.toString(16)}/128`,
    `lxc.group = ${groupNames[index % groupNames.length]}`,
  ];
  return describeContainer('/var/lib/lxc', nameAt(index), parseText(lines.join('\n')));
}

/** What nft can carry. */
const oddVeth = (index: number): string => `v;{$"é'`.slice(0, index % 4) + index;

function desiredOf(
  policies: readonly Numbered[],
  vethAt = oddVeth,
): { readonly desired: DesiredState; readonly valid: number } {
  const containers = policies.map(([index]) => containerAt(index));
  const files = policies.map(([index, text]): [string, string] => [`containers/${nameAt(index)}.json`, text]);
  const loaded = loadPolicies(new Map([...files, ...Object.entries(sharedFiles)]));
  expect(loaded.problems.map((problem) => formatProblem(problem)).slice(0, 3)).toEqual([]);
  const veths = new Map<string, InterfaceName>();
  for (const [position, { endpoints }] of containers.entries()) {
    const veth = parseInterfaceName(vethAt(policies[position]?.[0] ?? 0));
    for (const { key } of endpoints) if (veth !== undefined) veths.set(key, veth);
  }
  const name = parseDnsName('deb.example');
  const assembled = createAssembler().assemble({
    ...{ config: defaultConfig, loaded, containers, links: [], veths, lastGood: new Map() },
    answers: new Map(name === undefined ? [] : [[name, []]]),
    now: Date.parse('2026-06-01T00:00:00Z'),
  });
  // A rule that can match nothing is an error, which random words run into; a policy with one isn't valid.
  const errors = [...assembled.policies.values()].flatMap(({ compiled }) => compiled.problems.filter(isError));
  const unexpected = errors.map((problem) => formatProblem(problem)).filter((text) => !/can't match/.test(text));
  expect(unexpected.slice(0, 3)).toEqual([]);
  const valid = [...assembled.policies.values()].filter(({ status }) => status === 'ok').length;
  expect(assembled.desired.nics.size).toBe(policies.length);
  return { desired: assembled.desired, valid };
}

/** Names of sets and chains, with how much is in each. */
const sizesOf = (ruleset: Ruleset): unknown =>
  [...ruleset].map(([family, { sets, chains }]: [string, NftTable]) => [
    family,
    Object.fromEntries([...sets].map(([name, { elements }]) => [name, elements.size]).sort()),
    Object.fromEntries([...chains].map(([name, { rules }]) => [name, rules.length]).sort()),
  ]);

/** A fifth of it on a machine that has nothing else to do; and what tells a failure. */
const PATIENCE_MS = 300_000;
const SHRINK_MS = 60_000;

const sample = (seed: number, numRuns: number): Numbered[] =>
  fc.sample(randomPolicy, { seed, numRuns }).map((text, index) => [index, text]);

/** @throws Error of the tool, or of what it made of them; with the fewest that it throws for, and how to see it again. */
async function holds(
  policies: readonly Numbered[],
  check: (some: readonly Numbered[]) => Promise<void>,
  again: string,
) {
  try {
    await check(policies);
  } catch (cause) {
    const end = Date.now() + SHRINK_MS;
    const breaks = (some: readonly Numbered[]): Promise<boolean> =>
      check(some).then(
        () => false,
        () => true,
      );
    const fewest = await fewestPolicies(policies, breaks, () => Date.now() < end);
    const told = fewest.map(([index, text]) => `${nameAt(index)}: ${text}`).join('\n');
    throw new Error(`${again}\nof ${policies.length} policies these are enough:\n${told}`, { cause });
  }
}

const again = (policies: number, test: string): string =>
  `POLICIES=${policies} ATTACK_SEED=${SEED} npx vitest run --project kernel test/kernel/random-policies.test.ts -t '${test}'`;

const batches = Array.from({ length: Math.ceil(POLICIES / AT_ONCE) }, (_, index) => index);

test.each(batches)(
  `nft takes ${AT_ONCE} random policies, rule by rule (batch %i, seed ${SEED})`,
  async (batch) => {
    const policies = sample(SEED + batch, AT_ONCE);
    const all = desiredOf(policies);
    expect(all.valid).toBeGreaterThan(AT_ONCE / 2);
    const isTaken = async (some: readonly Numbered[]): Promise<void> => {
      const { desired } = some === policies ? all : desiredOf(some);
      const ruleset = renderDesired(desired, nameOf);
      expect(sizesOf(await listElsewhere(run, ruleset))).toEqual(sizesOf(ruleset));
    };
    await holds(policies, isTaken, again(POLICIES, `batch ${batch},`));
  },
  PATIENCE_MS,
);

/** A few: a chain of iptables costs more than a set element. */
const BY_XT = 250;

const chainSizes = ({ families }: XtRuleset): ReadonlySet<string> =>
  new Set(
    [...families].flatMap(([family, { tables }]) =>
      [...tables].flatMap(([table, { chains }]) =>
        [...chains].map(([name, rules]) => `${family} ${table} ${name} ${rules.length}`),
      ),
    ),
  );

test.each<XtVariant>(['legacy', 'nft'])(
  `iptables-%s takes what it is said to take of ${BY_XT} random policies`,
  async (variant) => {
    const policies = sample(SEED, BY_XT);
    const heldOf = (some: readonly Numbered[]) => holdByXt(desiredOf(some, (index) => `veth${index}`).desired);
    const { unheld } = heldOf(policies);
    expect(unheld.size).toBeGreaterThan(0);
    expect(unheld.size).toBeLessThan(BY_XT / 2);
    const isTaken = async (some: readonly Numbered[]): Promise<void> => {
      const rendered = renderXt(heldOf(some).state, nameOf);
      expect(chainSizes(await listXtElsewhere(run, variant, rendered))).toEqual(chainSizes(rendered));
    };
    await holds(policies, isTaken, again(POLICIES, `iptables-${variant}`));
  },
  PATIENCE_MS,
);
