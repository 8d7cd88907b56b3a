/** What conntrack lists, read to find the entries that have to go. */
import { describe, expect, it } from 'vitest';
import { parseFlows } from '../../controller/cut-flows.ts';

/** conntrack 1.4.7, `conntrack -L -f ipv4` */
const LISTING = `tcp      6 431999 ESTABLISHED src=198.51.100.10 dst=192.0.2.1 sport=36032 dport=873 src=192.0.2.1 dst=198.51.100.10 sport=873 dport=36032 [ASSURED] mark=0 use=1
udp      17 29 src=203.0.113.80 dst=192.0.2.1 sport=5353 dport=8080 [UNREPLIED] src=198.51.100.10 dst=203.0.113.80 sport=80 dport=5353 mark=0 use=1
icmp     1 29 src=198.51.100.10 dst=192.0.2.1 type=8 code=0 id=6239 src=192.0.2.1 dst=198.51.100.10 type=0 code=0 id=6239 mark=0 use=1
unknown  47 599 src=198.51.100.10 dst=203.0.113.80 src=203.0.113.80 dst=198.51.100.10 mark=0 use=1
`;

describe("conntrack's listing", () => {
  const [tcp, translated, icmp, gre, ...more] = parseFlows(LISTING, 4);

  it('gives each flow as the rules saw its first packet', () => {
    expect(tcp).toMatchObject({ source: '198.51.100.10', destination: '192.0.2.1', protocol: 6, port: 873 });
    expect(icmp).toMatchObject({ protocol: 1, icmpType: 8 });
    expect(gre).toMatchObject({ protocol: 47, destination: '203.0.113.80' });
    expect(gre).not.toHaveProperty('port');
    expect(more).toEqual([]);
  });

  it('takes the destination and port that address translation gave', () => {
    expect(translated).toMatchObject({ source: '203.0.113.80', destination: '198.51.100.10', protocol: 17, port: 80 });
  });

  it('names the entry to conntrack by what its originator sent', () => {
    const words = '-p 17 --orig-src 203.0.113.80 --orig-dst 192.0.2.1 --sport 5353 --dport 8080';
    expect(translated?.selector.join(' ')).toBe(words);
    expect(icmp?.selector.join(' ')).toBe('-p 1 --orig-src 198.51.100.10 --orig-dst 192.0.2.1 --icmp-type 8');
  });

  it('passes over lines that are no flows', () => {
    expect(
      parseFlows('conntrack v1.4.7 (conntrack-tools): 0 flow entries have been shown.\n\ntcp garbage\n', 4),
    ).toEqual([]);
  });
});
