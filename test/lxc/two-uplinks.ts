/** A host with two uplinks, each with a router behind it that has the same internet: who is reached tells the way. */

import { INTERNET } from '../../sandbox/host.ts';
import { createNamespace, type Namespace } from '../../sandbox/namespace.ts';
import type { Place } from '../../sandbox/place.ts';
import { listen, probe, receipts } from '../../sandbox/services.ts';
import { createWire, runIp } from '../../sandbox/wire.ts';
import { type Routewall, type RoutewallOptions, startRoutewall } from './routewall.ts';

export const PORT = { protocol: 'tcp', port: 80 } as const;

/** The host's and the second router's, on eth1. */
export const SECOND = {
  host: ['192.0.2.129/25', '2001:db8:0:2::1/64'],
  router: ['192.0.2.130', '2001:db8:0:2::2'],
} as const;

export interface TwoUplinks extends Routewall {
  readonly first: Namespace;
  readonly second: Namespace;
}

/** The second router is known from table 200 alone, as policy routing without us would have it. */
export async function startTwoUplinks(options: RoutewallOptions = {}): Promise<TwoUplinks> {
  let second: Namespace | undefined;
  const rw = await startRoutewall({
    ...options,
    prepare: async (bed) => {
      second = await createNamespace('second');
      await createWire(
        { namespace: bed.host, name: 'eth1', addresses: SECOND.host },
        { namespace: second, name: 'eth0', addresses: [`${SECOND.router[0]}/25`, `${SECOND.router[1]}/64`] },
      );
      await runIp(second, [
        ...INTERNET.map((address) => `address add ${address} dev lo${address.includes(':') ? ' nodad' : ''}`),
        'route add 198.51.100.0/24 via 192.0.2.129',
        'route add 2001:db8:100::/64 via 2001:db8:0:2::1',
      ]);
      await addSecondRouter(bed.host);
      await options.prepare?.(bed);
    },
  });
  if (second === undefined) throw new Error('no second router');
  for (const place of [rw.bed.host, rw.bed.outside, second]) await listen(place, PORT);
  return { ...rw, first: rw.bed.outside, second };
}

export async function addSecondRouter(host: Namespace): Promise<void> {
  const routes = SECOND.router.map(
    (via) => `route replace ${via.includes(':') ? '::/0' : '0.0.0.0/0'} via ${via} dev eth1`,
  );
  await runIp(
    host,
    routes.map((route) => `${route} table 200`),
  );
}

/** Which routers a connection to the internet reaches, in both families: `first`, `second`, or what came of it. */
export async function waysOut(rw: TwoUplinks, from: Place, targets: readonly string[] = INTERNET): Promise<string[]> {
  return await Promise.all(
    targets.map(async (to) => {
      const seen = async (place: Place): Promise<number> =>
        (await receipts(place)).filter((receipt) => receipt.to.includes(to)).length;
      const before = await Promise.all([seen(rw.first), seen(rw.second)]);
      const outcome = await probe(from, { ...PORT, to, timeout: 2_000 });
      const after = await Promise.all([seen(rw.first), seen(rw.second)]);
      if (after[0] > before[0]) return 'first';
      if (after[1] > before[1]) return 'second';
      return outcome;
    }),
  );
}
