/** A container that comes, goes or is edited beside others: compiled by itself where nobody else is concerned. */
import { expect, it } from 'vitest';
import { createAssembler, type HostInputs } from '../../controller/pass/assemble.ts';
import { NO_FACTS } from '../../policies/uplink-facts.ts';
import { plain, TestHost } from './compile-host.ts';

type Step = (host: TestHost) => TestHost;

const ADDRESS = 'ipv4.address = 203.0.113.9/32';
const make =
  (...lines: string[]): Step =>
  (host) =>
    host.configure('new', ...lines);
const policy =
  (text: string, file = 'containers/new.yaml'): Step =>
  (host) =>
    host.policy(file, text);
const all =
  (...steps: Step[]): Step =>
  (host) => {
    for (const step of steps) step(host);
    return host;
  };

/** Two that run and publish nothing, one that masquerades, and one that is made. */
const hostBefore = (): TestHost =>
  new TestHost()
    .policy('profiles/base.yaml', 'ingress: { rules: [{ allow: ssh, from: any }] }\n')
    .configure('a', 'ipv4.address = 198.51.100.1/32')
    .configure('b', 'ipv4.address = 198.51.100.2/32')
    .configure('masked', 'ipv4.address = 198.51.100.3/32')
    .policy('containers/a.yaml', 'use: [base]\n')
    .policy('containers/b.yaml', 'egress: { default: allow }\n')
    .policy('containers/masked.yaml', 'masquerade: 203.0.113.77\n')
    .start('a')
    .start('b')
    .start('masked');

const STEPS: readonly (readonly [what: string, step: Step, isAlone: boolean])[] = [
  ['is made', make(ADDRESS), true],
  ['is made, and starts at once', all(make(ADDRESS), (host) => host.start('new')), true],
  ['has a veth of its own name', make(ADDRESS, 'veth.pair = named'), true],
  ['has a policy that others have', all(make(ADDRESS), policy('use: [base]\n')), true],
  ['has the same rules as another one, but first in the alphabet', policyOfOther('containers/aaa.yaml'), false],
  ['has an address that another one has', make('ipv4.address = 198.51.100.2/32'), false],
  ['has an address of the host', make('ipv4.address = 192.0.2.1/32'), false],
  ['has routes', make(ADDRESS, 'veth.ipv4.route = 203.0.113.64/28'), false],
  ['has an address that another one is masqueraded as', make('ipv4.address = 203.0.113.77/32'), false],
  ['hangs on a bridge', make('link = br0', ADDRESS, 'hwaddr = 02:00:00:00:00:07'), false],
  ['is masqueraded', all(make(ADDRESS), policy('masquerade: true\n')), false],
  ['has an uplink', all(make(ADDRESS), policy('uplink: eth0\n')), false],
  ['has the veth of another one', all(make(ADDRESS), (host) => host.start('new', 'vetha')), false],
  ['another one gets other rules', policy('egress: { default: reject }\n', 'containers/a.yaml'), true],
  ['a profile gets other rules', policy('egress: { default: reject }\n', 'profiles/base.yaml'), true],
  ['another one is gone', (host) => host.remove('b'), true],
  ['another one is gone, and stops', (host) => host.remove('b').stop('b'), true],
  ['another one gets another address', (host) => host.configure('b', 'ipv4.address = 198.51.100.4/32'), true],
];

function policyOfOther(file: string): Step {
  const name = file.slice('containers/'.length, -'.yaml'.length);
  return (host) => host.configure(name, ADDRESS).policy(file, 'egress: { default: allow }\n');
}

const inputsOf = (host: TestHost): HostInputs => ({ ...host.inputs(), uplinkFacts: NO_FACTS });

it.each(STEPS)('one %s', (_what, step, isAlone) => {
  const host = hostBefore();
  const assembler = createAssembler();
  const before = assembler.assemble(inputsOf(host));
  const after = assembler.assemble(inputsOf(step(host)));
  const fresh = createAssembler().assemble(inputsOf(host));
  expect(plain(after.desired)).toEqual(plain(fresh.desired));
  expect(after.problems).toEqual(fresh.problems);
  // Only what compiles all of them makes the list of problems anew.
  expect(after.problems === before.problems).toBe(isAlone);
});

it.each(STEPS)('one %s, and then it is as before', (_what, step) => {
  const host = hostBefore();
  const assembler = createAssembler();
  assembler.assemble(inputsOf(host));
  assembler.assemble(inputsOf(step(host)));
  const inputs = inputsOf(hostBefore());
  const back = assembler.assemble(inputs);
  expect(plain(back.desired)).toEqual(plain(createAssembler().assemble(inputs).desired));
});
