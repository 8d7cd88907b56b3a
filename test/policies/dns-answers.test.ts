/** Whoever controls a name's DNS must not get a container to, or let in, what isn't of the internet. */
import { expect, it } from 'vitest';
import { createAddressBook } from '../../policies/address-book.ts';
import { judgeAnswers } from '../../policies/dns-answers.ts';
import { describeHost, parseLinks } from '../../policies/host-network.ts';
import { type Address, parseAddress, parsePrefix } from '../../render/address.ts';
import { type DnsName, parseDnsName } from '../../render/dns-name.ts';
import { parseInterfaceName } from '../../render/names.ts';
import { certain } from '../controller/states.ts';

const name = (text: string): DnsName => parseDnsName(text) ?? expect.fail(`${text} is a name`);
const addresses = (...texts: string[]): Address[] =>
  texts.map((text) => parseAddress(text) ?? expect.fail(`${text} is an address`));
const prefixes = (...texts: string[]) => texts.map((text) => parsePrefix(text) ?? expect.fail(`${text} is a prefix`));

const network = describeHost(
  parseLinks([
    { ifname: 'lo', link_type: 'loopback', addr_info: [{ local: '127.0.0.1', prefixlen: 8, scope: 'host' }] },
    {
      ifname: 'eth0',
      addr_info: [
        { local: '192.0.2.1', prefixlen: 24, scope: 'global' },
        { local: '2001:db8::1', prefixlen: 64, scope: 'global' },
        { local: 'fe80::1', prefixlen: 64, scope: 'link' },
      ],
    },
    { ifname: 'mgmt0', addr_info: [{ local: '2001:db8:7::1', prefixlen: 64, scope: 'global' }] },
  ]),
  { uplinks: [certain(parseInterfaceName('eth0'))], guard: [], veths: new Set() },
);
const book = createAddressBook(new Map([['web', prefixes('198.51.100.20/32', '2001:db8:100::/64')]]), new Map());

function judge(list: readonly Address[], accept: readonly string[] = []) {
  const deb = name('deb.example');
  const { dns, ignored } = judgeAnswers([deb], new Map([[deb, list]]), network, book, prefixes(...accept));
  return { counts: dns.get(deb), ignored: (ignored.get(deb) ?? []).map(({ address, why }) => `${address}: ${why}`) };
}

it('takes what the word internet means', () => {
  const list = addresses('2001:db8:ffff::80', '64:ff9b::cb00:7150', '203.0.113.80', '203.0.113.81');
  expect(judge(list)).toEqual({ counts: [...list].sort(), ignored: [] });
});

const NEVER = 'a loopback, link-local, multicast or reserved address';

it.each([
  ['192.0.2.1', 'an address of this host'],
  ['2001:db8::1', 'an address of this host'],
  ['fe80::1', 'an address of this host'],
  ['127.0.0.1', 'an address of this host'],
  ['127.0.0.2', NEVER],
  ['::1', NEVER],
  ['0.0.0.0', NEVER],
  ['169.254.169.254', NEVER],
  ['fe80::2', NEVER],
  ['224.0.0.251', NEVER],
  ['ff02::fb', NEVER],
  ['255.255.255.255', NEVER],
])('ignores %s also where everything is accepted', (text, why) => {
  expect(judge(addresses(text), ['0.0.0.0/0', '::/0'])).toEqual({ counts: [], ignored: [`${text}: ${why}`] });
});

it.each([
  ['10.0.0.5', 'a private address', '10.0.0.0/24'],
  ['172.16.3.4', 'a private address', '172.16.3.4/32'],
  ['192.168.1.1', 'a private address', '192.168.0.0/16'],
  ['100.64.0.9', 'a private address', '100.64.0.0/10'],
  ['fd00::5', 'a private address', 'fd00::/8'],
  ['198.51.100.20', 'an address of a container here', '198.51.100.20/32'],
  ['2001:db8:100::7', 'an address of a container here', '2001:db8:100::/64'],
  ['192.0.2.77', "an address of this host's own network", '192.0.2.64/26'],
  ['2001:db8::77', "an address of this host's own network", '2001:db8::/64'],
  ['2001:db8:7::77', "an address of this host's own network", '2001:db8:7::/64'],
  ['64:ff9b::a00:5', 'a private address, 10.0.0.5, as IPv6 carries it', '64:ff9b::/96'],
  ['64:ff9b::a00:6', 'a private address, 10.0.0.6, as IPv6 carries it', '10.0.0.0/24'],
  ['64:ff9b:1::cb00:7150', 'a private address', '64:ff9b:1::/48'],
  ['64:ff9b::c000:201', 'an address of this host, 192.0.2.1, as IPv6 carries it', '64:ff9b::/96'],
  ['64:ff9b::c633:6414', 'an address of a container here, 198.51.100.20, as IPv6 carries it', '198.51.100.20/32'],
  ['2002:a00:5::1', 'a private address, 10.0.0.5, as IPv6 carries it', '2002::/16'],
])('ignores %s but where it is accepted', (text, why, prefix) => {
  expect(judge(addresses(text))).toEqual({ counts: [], ignored: [`${text}: ${why}`] });
  expect(judge(addresses(text), [prefix])).toEqual({ counts: addresses(text), ignored: [] });
  expect(judge(addresses(text), ['203.0.113.0/24']).counts).toEqual([]);
});

it('knows nothing of names that no policy means, and of answers that never came', () => {
  const deb = name('deb.example');
  const other = name('other.example');
  const { dns } = judgeAnswers([deb], new Map([[other, addresses('203.0.113.80')]]), network, book, []);
  expect([...dns]).toEqual([[deb, []]]);
});
