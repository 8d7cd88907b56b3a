/** Which interfaces are told as shut though they may be another program's. */
import { expect, test } from 'vitest';
import { examineStrangers } from '../../../controller/doctor/examine-strangers.ts';
import type { HostLink } from '../../../policies/host-network.ts';

const linkOf = (name: string, more: Partial<HostLink> = {}): HostLink => ({
  ...{ name, mac: '02:00:00:00:00:01', loopback: false, addresses: [] },
  ...more,
});

test.each<[string, HostLink, number]>([
  ["another program's veth", linkOf('vethother'), 1],
  ["a container's own", linkOf('vethweb'), 0],
  ['an uplink', linkOf('eth0'), 0],
  ['one that is switched off', linkOf('vethother', { down: true }), 0],
  ['one whose other end is', linkOf('vethother', { noCarrier: true }), 0],
  ["a bridge's port, as Docker's are", linkOf('vethother', { master: 'docker0' }), 0],
])('%s', (_, link, count) => {
  const isGuarded = (name: string): boolean => name.startsWith('veth');
  const found = examineStrangers({ links: [link], isGuarded, claimed: new Set(['vethweb']) });
  expect(found).toHaveLength(count);
  for (const { message } of found) expect(message).toContain('vethother');
});
