/** What a container's administrator is told of an uplink that its traffic can't leave by. */
import { expect, test } from 'vitest';
import { describeHost, type HostLink } from '../../policies/host-network.ts';
import { MAIN, type UplinkFacts } from '../../policies/uplink-facts.ts';
import { uplinkFindings } from '../../policies/uplink-plan.ts';
import { parseAddress, parsePrefix } from '../../render/address.ts';
import { parseInterfaceName } from '../../render/names.ts';

const must = <T>(value: T | undefined): T => value ?? expect.unreachable();
const dev = must(parseInterfaceName('eth0'));

const linkOf = (name: string, address?: string, more: Partial<HostLink> = {}): HostLink => ({
  ...{ name, mac: '02:00:00:00:00:01', loopback: false },
  addresses: address === undefined ? [] : [{ address: must(parseAddress(address)), prefixLength: 24, scope: 'global' }],
  ...more,
});
const ETH0 = linkOf('eth0', '192.0.2.1');
const WAY_OUT: UplinkFacts = {
  defaults: [{ dev, via: must(parseAddress('192.0.2.2')), table: MAIN, metric: 0 }],
  ...{ taken: new Set<number>(), strict: new Set<string>() },
};

interface Row {
  readonly links?: readonly HostLink[];
  readonly uplinks?: readonly string[];
  readonly prefix?: string;
  readonly facts?: Partial<UplinkFacts>;
  readonly gateways?: readonly string[];
}

function told({ links = [ETH0], uplinks, prefix = '198.51.100.1/32', facts, gateways = [] }: Row): string[] {
  const named = uplinks?.map((name) => must(parseInterfaceName(name)));
  const network = describeHost(links, { uplinks: named ?? 'auto', guard: [], veths: new Set() });
  const choice = {
    ...{ dev, gateways: gateways.map((gateway) => must(parseAddress(gateway))) },
    origin: { file: 'web.yaml', line: 1 },
  };
  const known = { ...network, uplinkFacts: { ...WAY_OUT, ...facts } };
  return uplinkFindings(choice, [must(parsePrefix(prefix))], known).map(
    ({ severity, message }) => `${severity}: ${message}`,
  );
}

test.each<[string, Row, readonly string[]]>([
  ['one that leads out', {}, []],
  ['none', { links: [] }, ['error: uplink eth0 is not there: until it comes, nothing of this container goes out']],
  [
    'one that is switched off',
    { links: [linkOf('eth0', '192.0.2.1', { down: true })] },
    ['error: uplink eth0 is down: nothing of this container goes out; ip link set dev eth0 up'],
  ],
  [
    'one without a cable',
    { links: [linkOf('eth0', '192.0.2.1', { noCarrier: true })] },
    ['error: uplink eth0 has no carrier: nothing of this container goes out'],
  ],
  [
    'one that waits for DHCP',
    { links: [linkOf('eth0')] },
    [
      'error: uplink eth0 has no address: until it has one, or "uplinks" in routewall.yaml names it, nothing of this container goes out',
    ],
  ],
  ['one without an address that is named', { links: [linkOf('eth0')], uplinks: ['eth0'] }, []],
  [
    'one that others are named in the place of',
    { links: [ETH0, linkOf('eth1', '203.0.113.1')], uplinks: ['eth1'] },
    ['error: uplink eth0 is no uplink of this host: add it to "uplinks" in routewall.yaml (now: eth1)'],
  ],
  [
    'one while none is named',
    { uplinks: [] },
    ['error: uplink eth0 is no uplink of this host: add it to "uplinks" in routewall.yaml (now: none)'],
  ],
  [
    'one without a router',
    { facts: { defaults: [] } },
    [
      'warning: uplink eth0 has no IPv4 default route in any table: beyond its link nothing is reached; add gateway: ADDRESS',
    ],
  ],
  ['one with a router of its own', { facts: { defaults: [] }, gateways: ['192.0.2.3'] }, []],
  [
    'one that filters strictly beside the main one',
    { facts: { defaults: [{ ...must(WAY_OUT.defaults[0]), table: 100 }], strict: new Set(['eth0']) } },
    ['warning: uplink eth0 drops answers that the host would not send by it: sysctl -w net.ipv4.conf.eth0.rp_filter=2'],
  ],
  ['one that filters strictly and is the main one', { facts: { strict: new Set(['eth0']) } }, []],
  [
    "an address of another uplink's network",
    { links: [ETH0, linkOf('eth1', '203.0.113.1')], prefix: '203.0.113.9/32' },
    ['warning: uplink eth0 is not where neighbours look for 203.0.113.9: it lies on eth1, where nobody answers for it'],
  ],
])('%s', (_, row, messages) => {
  expect(told(row)).toEqual(messages);
});
