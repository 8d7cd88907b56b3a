/** Rulesets of random valid policies: nft and iptables take them, and make of each line exactly one rule. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createAssembler } from '../../controller/assemble.ts';
import { run } from '../../controller/commands/run.ts';
import { describeContainer } from '../../controller/host/containers.ts';
import { holdByXt } from '../../controller/iptables/unsayable-nics.ts';
import { listXtElsewhere, type XtVariant } from '../../controller/iptables/xt-tools.ts';
import { listElsewhere } from '../../controller/kernel/observe.ts';
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
import { groupNames, randomPolicy, sharedFiles } from '../policies/random-policy.ts';
import { parseText } from '../watchers/lxc-config/memory-files.ts';

/** `POLICIES=100000 ATTACK_SEED=7 npx vitest run --project kernel test/kernel/random-policies.test.ts` for longer. */
const POLICIES = Number(process.env['POLICIES'] ?? 10_000);
const SEED = Number(process.env['ATTACK_SEED'] ?? 20_260_301);
/** So many containers share a ruleset: loading costs by rules, not by rulesets. */
const AT_ONCE = 1000;

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
  policies: readonly string[],
  vethAt = oddVeth,
): { readonly desired: DesiredState; readonly valid: number } {
  const containers = policies.map((_, index) => containerAt(index));
  const files = policies.map((text, index): [string, string] => [`containers/${nameAt(index)}.json`, text]);
  const loaded = loadPolicies(new Map([...files, ...Object.entries(sharedFiles)]));
  expect(loaded.problems.map((problem) => formatProblem(problem)).slice(0, 3)).toEqual([]);
  const veths = new Map<string, InterfaceName>();
  for (const [index, { endpoints }] of containers.entries()) {
    const veth = parseInterfaceName(vethAt(index));
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

/** A fifth of it on a machine that has nothing else to do. */
const PATIENCE_MS = 180_000;

const batches = Array.from({ length: Math.ceil(POLICIES / AT_ONCE) }, (_, index) => index);

test.each(batches)(
  `nft takes ${AT_ONCE} random policies, rule by rule (batch %i, seed ${SEED})`,
  async (batch) => {
    const policies = fc.sample(randomPolicy, { seed: SEED + batch, numRuns: AT_ONCE });
    const { desired, valid } = desiredOf(policies);
    const ruleset = renderDesired(desired, nameOf);
    const listed = await listElsewhere(run, ruleset);
    expect(sizesOf(listed)).toEqual(sizesOf(ruleset));
    expect(valid).toBeGreaterThan(AT_ONCE / 2);
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
    const policies = fc.sample(randomPolicy, { seed: SEED, numRuns: BY_XT });
    const { state, unheld } = holdByXt(desiredOf(policies, (index) => `veth${index}`).desired);
    expect(unheld.size).toBeGreaterThan(0);
    expect(unheld.size).toBeLessThan(BY_XT / 2);
    const rendered = renderXt(state, nameOf);
    expect(chainSizes(await listXtElsewhere(run, variant, rendered))).toEqual(chainSizes(rendered));
  },
);
