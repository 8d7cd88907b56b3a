/** Others' rules that keep neighbours on a bridge from finding each other: where br_netfilter asks them. */
import { afterAll, expect, test } from 'vitest';
import { BRIDGE_ROUTES, bridgedNic, createBridge } from '../../sandbox/bridge.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import type { Place } from '../../sandbox/place.ts';
import { listen, probe } from '../../sandbox/services.ts';
import { OPEN, startRoutewall } from './routewall.ts';

afterAll(cleanUp);

test('the doctor and explain name the chain that drops neighbour discovery, and their line mends it', async () => {
  const rw = await startRoutewall({
    host: { routedPrefixes: BRIDGE_ROUTES },
    prepare: ({ host }) => createBridge(host),
  });
  const { host } = rw.bed;
  const places: Place[] = [];
  for (const last of [1, 2]) {
    const container = await rw.addContainer(`c${last}`, {
      policy: OPEN,
      lines: bridgedNic([`2001:db8:200::15${last}`], { hwaddr: `02:16:3e:00:00:0${last}` }),
    });
    await rw.start(container);
    const place = await container.inside();
    await listen(place, { protocol: 'tcp', port: 80 });
    // Until nobody else is known to have its address, which takes up to two seconds, it answers none who looks for it.
    await eventually(
      'its address is its own',
      async () => (await place.run('ip', ['-6', 'address', 'show', 'tentative'])).stdout === '',
    );
    places.push(place);
  }
  const said = async (): Promise<string[]> => {
    const explained = await rw.cli('explain', '--from', 'container:c1', '--to', 'container:c2', 'tcp/80');
    const doctor = await rw.cli('doctor');
    return `${explained.stdout}${doctor.stdout}`.split('\n').filter((line) => line.includes('neighbour discovery'));
  };
  const reach = async (): Promise<string | undefined> => {
    for (const place of places) await place.run('ip', ['neigh', 'flush', 'all']);
    const [from] = places;
    return from && (await probe(from, { protocol: 'tcp', port: 80, to: '2001:db8:200::152', timeout: 2_000 }));
  };
  await host.run('sysctl', ['-q', '-w', 'net.bridge.bridge-nf-call-ip6tables=1']);
  expect([await reach(), await said()]).toEqual(['allowed', [expect.stringMatching(/^note: .* c1, c2 on br0 /)]]);
  for (const line of ['-A FORWARD -p tcp -j ACCEPT', '-P FORWARD DROP'])
    await host.run('ip6tables-nft', line.split(' '));
  expect([await reach(), await said()]).toEqual([
    'dropped',
    [
      expect.stringMatching(/^allowed by routewall, but chain FORWARD of table ip6 filter would drop it: .* \(their /),
      expect.stringMatching(/^error: chain FORWARD of table ip6 filter drops .* of c1, c2 on br0, /),
    ],
  ]);
  await host.run('sysctl', ['-q', '-w', 'net.bridge.bridge-nf-call-ip6tables=0']);
  // The line that is given does just that.
  expect((await rw.cli('doctor')).stdout).not.toContain('ip6tables=0');
  expect(await reach()).toBe('allowed');
});
