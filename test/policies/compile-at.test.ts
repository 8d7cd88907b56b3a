/** A last good policy at other moments than the one at which it was good. */
import { describe, expect, it } from 'vitest';
import { type Assembled, createAssembler } from '../../controller/pass/assemble.ts';
import { describeRule } from '../../policies/describe-rule.ts';
import { TestHost } from './compile-host.ts';

describe('a last good policy, while the clock is wrong', () => {
  const policy = `egress:
  default: allow
  rules:
    - { drop: tcp/25, to: "container:zeta", until: "2027-01-01T00:00:00Z" }
    - { reject: mine, to: "set:bad" }
`;
  const NOW = '2026-06-01T00:00:00Z';
  const WRONG = '2030-01-01T00:00:00Z';
  const makeHost = (): TestHost =>
    new TestHost()
      .configure('alpha', 'ipv4.address = 192.0.2.10/24')
      .configure('zeta', 'ipv4.address = 192.0.2.11/24')
      .policy('sets/bad.txt', '203.0.113.0/24\n')
      .policy('services.yaml', 'mine: tcp/7777\n')
      .policy('containers/alpha.yaml', policy);
  const egressOf = (assembled: Assembled): string[] => {
    const enforced = [...assembled.policies.values()].find(({ compiled }) => compiled.container === 'alpha')?.enforced;
    return enforced === undefined ? [] : enforced.default.egress.rules.map((rule) => describeRule(rule, 'egress'));
  };
  const right = ['drop tcp/25 to 192.0.2.11, until 2027-01-01T00:00:00Z', 'reject tcp/7777 to 203.0.113.0/24'];

  it.each([
    ['breaks by then', true],
    ['is broken already', false],
  ])('ends its rules, and has them back with the right time: one that %s', (_what, isGoodFirst) => {
    const host = makeHost().clock(isGoodFirst ? WRONG : NOW);
    const assembler = createAssembler();
    const now = (): string[] => egressOf(assembler.assemble(host.inputs()));
    now();
    host.policy('containers/alpha.yaml', 'egress: 1\n').policy('sets/bad.txt', '198.51.100.0/24\n');
    host.clock(WRONG);
    expect(now()).toEqual(right.slice(1));
    host.clock(NOW);
    expect(now()).toEqual(right);
    expect(now()).toEqual(right);
    expect(egressOf(assembler.assemble(host.clock(WRONG).inputs()))).toEqual(right.slice(1));
  });

  it('is the same object as long as time changes nothing of it', () => {
    const host = makeHost().clock(NOW);
    const assembler = createAssembler();
    assembler.assemble(host.inputs());
    host.policy('containers/alpha.yaml', 'egress: 1\n');
    const [first, second] = [NOW, '2026-07-01T00:00:00Z'].map((time) => assembler.assemble(host.clock(time).inputs()));
    expect(first?.policies).toBe(second?.policies);
  });
});
