/** Rules as iptables saves them, asked about packets. */
import { describe, expect, test } from 'vitest';
import type { ForeignPacket } from '../../../controller/doctor/foreign-match.ts';
import { parseIptablesSave } from '../../../controller/doctor/iptables-save.ts';
import { judgePacket, type Way } from '../../../controller/doctor/judge-packet.ts';

const TO_WEB: ForeignPacket = {
  family: 4,
  iifname: 'eth0',
  oifname: 'veth1',
  source: '203.0.113.80',
  destination: '198.51.100.10',
  protocol: 'tcp',
  port: 80,
};

function said(rules: readonly string[], packet: ForeignPacket = TO_WEB, way: Way = 'forward'): string | undefined {
  const policies = [':INPUT ACCEPT [0:0]', ':FORWARD ACCEPT [3:180]', ':OUTPUT ACCEPT [0:0]', ':MINE - [0:0]'];
  const text = ['# Generated', '*filter', ...policies, ...rules, 'COMMIT', ''].join('\n');
  const chains = parseIptablesSave(text, { family: 'ip', program: 'iptables-legacy' });
  const [drop] = judgePacket(chains, way, packet);
  return drop && `${drop.sure ? 'drops' : 'may drop'} by ${drop.by}`;
}

const HIT = 'drops by rule 1 of chain FORWARD';
const PERHAPS = 'may drop by rule 1 of chain FORWARD';

describe('a rule of iptables', () => {
  test.each<[rule: string, said: string | undefined]>([
    ['-A FORWARD -j DROP', HIT],
    ['-A FORWARD -j REJECT --reject-with icmp-port-unreachable', HIT],
    ['-A FORWARD -o veth+ -j DROP', HIT],
    ['-A FORWARD ! -i eth0 -j DROP', undefined],
    ['-A FORWARD ! -o docker0 -j DROP', HIT],
    ['-A FORWARD -d 198.51.100.0/24 -j DROP', HIT],
    ['-A FORWARD ! -s 203.0.113.80/32 -j DROP', undefined],
    ['-A FORWARD -p tcp -m tcp --dport 80 -j DROP', HIT],
    ['-A FORWARD -p tcp -m tcp --dport 81:90 -j DROP', undefined],
    ['-A FORWARD -p udp -m udp --dport 80 -j DROP', undefined],
    ['-A FORWARD -p tcp -m multiport --dports 22,79:81 -j DROP', HIT],
    ['-A FORWARD -p tcp -m multiport ! --dports 22,79:81 -j DROP', undefined],
    ['-A FORWARD -m conntrack --ctstate NEW -j DROP', HIT],
    ['-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j DROP', undefined],
    ['-A FORWARD -m state --state INVALID -j DROP', undefined],
    ['-A FORWARD -m addrtype --dst-type LOCAL -j DROP', undefined],
    ['-A FORWARD -m addrtype ! --dst-type LOCAL -j DROP', HIT],
    ['-A FORWARD -m comment --comment "not -j ACCEPT \\"really\\"" -j DROP', HIT],
    ['-A FORWARD -m rt --rt-type 0 -j DROP', undefined],
    ['-A FORWARD -m limit --limit 3/min --limit-burst 10 -j DROP', PERHAPS],
    ['-A FORWARD -m set --match-set bad src -j DROP', PERHAPS],
    ['-A FORWARD -p tcp -m tcp --sport 1024:65535 -j DROP', PERHAPS],
    ['-A FORWARD -m something --new-option a b -j DROP', PERHAPS],
    ['-A FORWARD -j LOG --log-prefix "[UFW BLOCK] "', undefined],
    ['-A FORWARD -j NFQUEUE --queue-num 1', undefined],
    ['-A FORWARD -i', undefined],
    ['nonsense', undefined],
  ])('%s', (rule, expected) => {
    expect(said([rule])).toBe(expected);
  });

  test('leads to chains, and back from them', () => {
    expect(said(['-A FORWARD -j MINE', '-A MINE -o veth+ -j DROP'])).toBe('drops by rule 1 of chain MINE');
    expect(said(['-A FORWARD -j MINE', '-A MINE -j RETURN', '-A FORWARD -j DROP'])).toBe(
      'drops by rule 2 of chain FORWARD',
    );
    expect(said(['-A FORWARD -g MINE', '-A FORWARD -j DROP'])).toBe(undefined);
    expect(said(['-A FORWARD -m mark --mark 0x1 -j MINE', '-A MINE -j DROP'])).toBe('may drop by rule 1 of chain MINE');
  });

  test('of a queue may let it pass, so that nothing after it is sure', () => {
    expect(said(['-A FORWARD -j NFQUEUE --queue-num 1', '-A FORWARD -j DROP'])).toBe(
      'may drop by rule 2 of chain FORWARD',
    );
  });

  test('knows what is for the host itself', () => {
    const rules = ['-A INPUT -m addrtype --dst-type LOCAL -j DROP'];
    expect(said(rules, { ...TO_WEB, iifname: 'veth1' }, 'input')).toBe('drops by rule 1 of chain INPUT');
  });
});
