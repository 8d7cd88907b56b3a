/** Series only grow, whatever the interfaces and elements behind them do. */
import { expect, test } from 'vitest';
import { type CountedNic, NicCounters } from '../../../controller/metrics/nic-counters.ts';
import { createMetrics } from '../../../controller/metrics/registry.ts';

const web = (hostVeth: string | undefined): CountedNic => ({
  key: '/var/lib/lxc/web/0',
  container: 'web',
  lxcPath: '/var/lib/lxc',
  nic: 'eth0',
  hostVeth,
});

const carried = (veth: string, received: number, sent: number) =>
  new Map([
    [veth, { received: { packets: received, bytes: received * 100 }, sent: { packets: sent, bytes: sent * 10 } }],
  ]);

const refused = (packets: number, key = 'a', veth = 'veth0') => [{ veth, direction: 'egress' as const, key, packets }];

function start(): { readonly nics: NicCounters; readonly read: () => Promise<Record<string, number>> } {
  const metrics = createMetrics();
  return {
    nics: new NicCounters(metrics),
    read: async () => {
      const found: Record<string, number> = {};
      for (const metric of [metrics.packets, metrics.bytes, metrics.refused]) {
        const { name, values } = await metric.get();
        const short = name.replace(/^routewall_container_|_total$/g, '');
        for (const { labels, value } of values) found[`${short} ${labels.container} ${labels.direction}`] = value;
      }
      return found;
    },
  };
}

test('all series of a container are there before its first packet, and gone with its configuration', async () => {
  const { nics, read } = start();
  nics.follow([web(undefined)]);
  expect(await read()).toEqual({
    'packets web egress': 0,
    'packets web ingress': 0,
    'bytes web egress': 0,
    'bytes web ingress': 0,
    'refused_packets web egress': 0,
    'refused_packets web ingress': 0,
  });
  nics.follow([]);
  expect(await read()).toEqual({});
});

test('what the host receives is egress, and a new veth adds to what the old one carried', async () => {
  const { nics, read } = start();
  nics.follow([web('veth0')]);
  nics.addCarried(carried('veth0', 5, 7));
  expect(await read()).toMatchObject({ 'packets web egress': 5, 'bytes web egress': 500, 'packets web ingress': 7 });
  nics.addCarried(carried('veth0', 6, 7));
  expect(await read()).toMatchObject({ 'packets web egress': 6, 'packets web ingress': 7 });
  nics.follow([web(undefined)]);
  nics.addCarried(new Map());
  nics.follow([web('veth1')]);
  nics.addCarried(carried('veth1', 20, 2));
  expect(await read()).toMatchObject({ 'packets web egress': 26, 'packets web ingress': 9, 'bytes web ingress': 90 });
});

test('a veth that comes back under its own name between two readings begins at nothing', async () => {
  const { nics, read } = start();
  nics.follow([web('veth0')]);
  nics.addCarried(carried('veth0', 5, 7));
  nics.addCarried(carried('veth0', 2, 1));
  expect(await read()).toMatchObject({ 'packets web egress': 7, 'packets web ingress': 8 });
});

test('elements that expire, return, or belong to nobody never take anything away', async () => {
  const { nics, read } = start();
  nics.follow([web('veth0')]);
  nics.addRefused([...refused(3), ...refused(2, 'b'), ...refused(50, 'c', 'veth9')]);
  expect(await read()).toMatchObject({ 'refused_packets web egress': 5 });
  nics.addRefused(refused(4));
  expect(await read()).toMatchObject({ 'refused_packets web egress': 6 });
  nics.addRefused([...refused(1), ...refused(2, 'b')]);
  expect(await read()).toMatchObject({ 'refused_packets web egress': 9, 'refused_packets web ingress': 0 });
});

test('elements that outlive the run of a container with a fixed interface name are counted once', async () => {
  const { nics, read } = start();
  nics.follow([web('veth0')]);
  nics.addRefused(refused(3));
  nics.follow([web(undefined)]);
  nics.addRefused(refused(3));
  nics.follow([web('veth0')]);
  nics.addRefused(refused(4));
  expect(await read()).toMatchObject({ 'refused_packets web egress': 4 });
});
