/** A host of random policies, and the same with other texts: what a packet is judged by. */

import { hostAddresses } from '../../../controller/host/host-addresses.ts';
import { type Assembled, createAssembler } from '../../../controller/pass/assemble.ts';
import type { HostAddresses } from '../../../policies/flows/peer-addresses.ts';
import { formatProblem } from '../../../policies/problem.ts';
import { parseAddress } from '../../../render/address.ts';
import { parseDnsName } from '../../../render/dns-name.ts';
import { certain } from '../../controller/states.ts';
import { TestHost } from '../../policies/compile-host.ts';
import { addressesOfContainer, nameOfContainer, UPLINK } from './bed.ts';
import type { Chains } from './judge.ts';
import { type Random, randomPolicy, randomProfile, SHARED_FILES } from './random-policies.ts';

/** Of containers c0, c1, … and of profiles p0, p1, p2. */
export interface Texts {
  readonly containers: readonly string[];
  readonly profiles: readonly string[];
}

export interface Policies {
  readonly assembled: Assembled;
  readonly addresses: HostAddresses;
  readonly chains: readonly Chains[];
  readonly texts: Texts;
}

interface Wrong {
  readonly containers: readonly number[];
  readonly problems: readonly string[];
}

const isWrong = (compiled: Policies | Wrong): compiled is Wrong => 'problems' in compiled;

function compile(texts: Texts, now: Date): Policies | Wrong {
  const host = new TestHost().link(...UPLINK);
  for (const [path, text] of Object.entries(SHARED_FILES)) host.policy(path, text);
  for (const [profile, text] of texts.profiles.entries()) host.policy(`profiles/p${profile}.yaml`, text);
  for (const [index, text] of texts.containers.entries()) {
    const [four, six] = addressesOfContainer(index);
    host.configure(nameOfContainer(index), `ipv4.address = ${four}/32`, `ipv6.address = ${six}/128`);
    host.start(nameOfContainer(index));
    host.policy(`containers/${nameOfContainer(index)}.yaml`, text);
  }
  const name = certain(parseDnsName('known.example'));
  const known = ['203.0.113.200', '2001:db8:f::200'].map((text) => certain(parseAddress(text)));
  const inputs = host.inputs();
  const containers = inputs.containers.map((one) => ({ ...one, groups: [`g${Number(one.name.slice(1)) % 3}`] }));
  const answers = new Map([[name, known]]);
  const assembled = createAssembler().assemble({ ...inputs, containers, answers, now: now.getTime() });
  const ids = texts.containers.map((_, index) => `/var/lib/lxc/${nameOfContainer(index)}`);
  const wrong = ids.flatMap((id, index) => {
    const { ok, problems } = certain(assembled.policies.get(id)).compiled;
    return ok ? [] : [{ index, problems }];
  });
  if (wrong.length > 0) {
    const problems = wrong.flatMap((one) => one.problems).map((problem) => formatProblem(problem));
    return { containers: wrong.map(({ index }) => index), problems };
  }
  const chains = ids.map((id) => certain(assembled.desired.nics.get(`${id}/0`)));
  return { assembled, addresses: hostAddresses(assembled), chains, texts };
}

/** `undefined` where one of them is an error. */
export function policiesOf(texts: Texts, now: Date): Policies | undefined {
  const compiled = compile(texts, now);
  return isWrong(compiled) ? undefined : compiled;
}

/** A policy that is an error is rolled again: it would be nothing but closed. */
export function randomPolicies(random: Random, count: number, now: Date): Policies {
  const profiles = [0, 1, 2].map(() => randomProfile(random, count));
  const containers = Array.from({ length: count }, () => randomPolicy(random, count, now));
  for (let attempt = 0; ; attempt += 1) {
    const compiled = compile({ containers, profiles }, now);
    if (!isWrong(compiled)) return compiled;
    const { problems } = compiled;
    if (attempt > 50) throw new Error(`policies can't be made:\n${problems.join('\n')}`);
    // Errors of a profile are told of each who uses it.
    for (const profile of profiles.keys()) {
      if (problems.some((text) => text.startsWith(`profiles/p${profile}.`)))
        profiles[profile] = randomProfile(random, count);
    }
    for (const index of compiled.containers) containers[index] = randomPolicy(random, count, now);
  }
}
