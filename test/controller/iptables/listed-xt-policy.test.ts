/** Policies read back from rules of iptables say what was compiled, and nothing where they say more than that. */
import { describe, expect, it, test } from 'vitest';
import { nameOf } from '../../../controller/apply/apply.ts';
import { listedByXt, parseProtocolNames } from '../../../controller/iptables/listed-by-xt.ts';
import { parseXtPolicy } from '../../../controller/iptables/listed-xt-policy.ts';
import type { Meanings } from '../../../controller/iptables/listed-xt-rule.ts';
import { holdByXt } from '../../../controller/iptables/unsayable-nics.ts';
import { parseLimit } from '../../../policies/rate-limit.ts';
import { isOneLimit } from '../../../render/iptables/xt-limits.ts';
import { isNameable } from '../../../render/iptables/xt-names.ts';
import { renderXt } from '../../../render/iptables/xt-render.ts';
import { caseNames, runCase } from '../../cases/golden-case.ts';
import { listedDifferences } from '../../cases/listed-differences.ts';
import { certain } from '../states.ts';

describe.each(caseNames())('%s', (name) => {
  it('is read back as it was compiled', async () => {
    const { assembled } = await runCase(name);
    const desired = holdByXt(assembled.desired).state;
    const listed = listedByXt(renderXt(desired, nameOf), { desired, protocols: new Map() });
    const unnamed = [...desired.nics.values()].filter(({ hostVeth }) => !isNameable(hostVeth));
    for (const nic of unnamed) expect(listed.nameFor(nic, 'egress'), nic.hostVeth).toBeUndefined();
    expect(listedDifferences(listed, desired, assembled)).toEqual([]);
  });
});

const meanings: Meanings = {
  nameOf: () => undefined,
  rangesOf: (set) => (set === 'RW-dns4-0123456789abcdef' ? [] : undefined),
  limitOf: (_, listed) => listed,
  protocolOf: (name) => parseProtocolNames('# all of them\nip\t0\tIP\nipencap\t4\tIP-ENCAP\t# IP in IP\n').get(name),
};
const read = (...lines: readonly string[]) => parseXtPolicy(lines, { family: 4, direction: 'egress', meanings });

const OBSERVES = '-p tcp -m tcp --dport 25 -m time --datestop 2026-06-07T23:59:59 -g RW-E-OBSERVE';
const REFUSES =
  '-p tcp -m tcp --dport 25 -m time --datestart 2026-06-08T00:00:00 --datestop 2038-01-19T03:14:07 -g RW-E-DROP';
const TOO_MUCH = '-p tcp -m hashlimit --hashlimit-above 2/sec --hashlimit-burst 5 --hashlimit-name RWa -g RW-E-DROP';
const DEFAULT = '-g RW-E-REJECT';

test('an observing chain, as iptables-save 1.8.9 prints it, ends what it observes and nothing else', () => {
  const whole = [
    '-m time --datestop 2026-06-07T23:59:59 -m comment --comment "web.yaml:1" -g RW-E-OBSERVE',
    '-m time --datestart 2026-06-08T00:00:00 --datestop 2038-01-19T03:14:07 -g RW-E-REJECT',
  ];
  const chain = certain(read('-j RW-NEVER', OBSERVES, REFUSES, ...whole));
  expect(chain).toMatchObject({ rules: [{ action: 'drop' }], default: { verdict: 'reject' } });
  expect(chain.observe?.until).toBe(Date.parse('2026-06-08T00:00:00Z') / 1000);
  expect(chain.rules[0]).not.toHaveProperty('until');
});

it.each([
  ['a protocol that only /etc/protocols names', '-p ipencap -j RETURN'],
  [
    'the addresses of a name that no policy means any more',
    '-m set --match-set RW-dns4-0123456789abcdef dst -j RETURN',
  ],
  [
    'the same but for what is this host',
    '-m set --match-set RW-dns4-0123456789abcdef dst -m addrtype ! --dst-type LOCAL -j RETURN',
  ],
])('understands %s', (_, line) => {
  expect(read(line, DEFAULT)?.rules).toHaveLength(1);
});

it.each([
  ['120/minute', '2/second', true],
  ['3600/hour', '1/second', true],
  ['7000/second', '7042/second', true],
  ['100000/day', '100000/day', true],
  ['7000/second', '7100/second', false],
  ['120/minute', '3/second', false],
])('takes the limit %s, which iptables-save prints as %s, as it was written: %s', (written, listed, isOne) => {
  const [one, other] = [written, listed].map(parseLimit);
  if (typeof one !== 'object' || typeof other !== 'object') throw new Error('no limits');
  expect(isOneLimit(one, other)).toBe(isOne);
  expect(isOneLimit(one, { ...other, burst: 6 })).toBe(false);
});

it.each([
  ['a negated protocol', '! -p tcp -j RETURN'],
  ['a negated port', '-p tcp -m tcp ! --dport 80 -j RETURN'],
  ['a source in egress', '-s 192.0.2.0/24 -j RETURN'],
  ['a set asked by the other side', '-m set --match-set RW-lan4 src -j RETURN'],
  ['two peers at once', '-d 192.0.2.0/24 -m set --match-set RW-lan4 dst -j RETURN'],
  ['one part of what internet is', '-m set ! --match-set RW-lan4 dst -j RETURN'],
  ["somebody's own set", '-m set ! --match-set theirs dst -j RETURN'],
  ['two lists of ports', '-p tcp -m tcp --dport 80 -m multiport --dports 1:100 -j RETURN'],
  ['a match without options', '-m socket -j RETURN'],
  ['a verdict up to a rate', '-m hashlimit --hashlimit-upto 5/sec --hashlimit-name a -j RETURN'],
  ['a count for each source', `${TOO_MUCH.replace('--hashlimit-name', '--hashlimit-mode srcip --hashlimit-name')}`],
  ['a refusal from a moment on', REFUSES],
  ['an observation without its refusal', OBSERVES],
  ['an observation of other packets', OBSERVES.replace('25', '26'), REFUSES],
  ['a refusal that is not observed beside one that is', OBSERVES, REFUSES, '-p udp -g RW-E-DROP'],
  ['a limit that nothing is allowed under', TOO_MUCH],
  ['a limit before something else', TOO_MUCH, '-p udp -j RETURN'],
  ["the other direction's refusal", '-g RW-I-DROP'],
  ['a jump from which packets come back', '-j RW-E-DROP'],
  ["somebody's own chain", '-j DOCKER-USER'],
  ['a type of ICMP under TCP', '-p tcp -m icmp --icmp-type 8 -j RETURN'],
])('knows nothing of a chain with %s', (_, ...lines) => {
  expect(read(...lines, DEFAULT)).toBeUndefined();
});
