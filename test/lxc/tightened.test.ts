/** A tightened policy ends the live connections that it no longer allows, and only those. */
import { afterEach, expect, it } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { INTERNET } from '../../sandbox/host.ts';
import type { Place } from '../../sandbox/place.ts';
import { type Flow, listen, openFlow, probe } from '../../sandbox/services.ts';
import { addressesOf, nic, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const [WEB4, WEB6] = addressesOf(20);
const [OUTSIDE4] = INTERNET;

/** Everything out, so that only the policy for what comes in can end what others opened. */
const policy = (...clients: readonly string[]): string => `
egress:
  default: allow
ingress:
  rules:
    - allow: [tcp/80, udp/53]
      from: [${clients.map((client) => `"${client}"`).join(', ')}]
`;

const outOnly = (...ports: readonly string[]): string => `
egress:
  rules:
    - allow: [${ports.join(', ')}]
      to: any
`;

async function startWeb(text: string): Promise<{ readonly routewall: Routewall; readonly web: Place }> {
  const routewall = await startRoutewall({ policies: { 'containers/web.yaml': text } });
  const container = await routewall.addContainer('web', { lines: nic(addressesOf(20)) });
  await routewall.start(container);
  const web = await container.inside();
  await listen(web, { protocol: 'tcp', port: 80 }, { protocol: 'udp', port: 53 });
  const ports = [80, 443].map((port) => ({ protocol: 'tcp' as const, port }));
  await listen(routewall.bed.outside, ...ports, { protocol: 'udp', port: 53 });
  return { routewall, web };
}

/** A cut connection may live for some beats until the new rules and the clean-up are through. */
const isCut = (flow: Flow): Promise<void> =>
  eventually('the connection is cut', async () => (await flow.beat(300)) !== 'alive', 10_000).then(() => undefined);

it('ends what the new rules refuse to come in, though the container itself may send anywhere', async () => {
  const { routewall } = await startWeb(policy('203.0.113.0/24', '192.0.2.2', '2001:db8:ffff::/64'));
  const { outside } = routewall.bed;
  const to = { to: WEB4, port: 80, protocol: 'tcp' as const };
  // The very first neighbour solicitation may come before the container hears it.
  const first = { ...to, to: WEB6, source: INTERNET[1], timeout: 5_000 };
  expect(await probe(outside, first)).toBe('allowed');
  const [forbidden, allowed, six, datagrams] = await Promise.all([
    openFlow(outside, { ...to, source: OUTSIDE4 }),
    openFlow(outside, { ...to, source: '192.0.2.2' }),
    openFlow(outside, { ...to, to: WEB6, source: INTERNET[1] }),
    openFlow(outside, { protocol: 'udp', to: WEB4, port: 53, source: OUTSIDE4 }),
  ]);
  for (const flow of [forbidden, allowed, six, datagrams]) expect(await flow.beat()).toBe('alive');
  await routewall.writePolicy('containers/web.yaml', policy('192.0.2.2'));
  await Promise.all([isCut(forbidden), isCut(six), isCut(datagrams)]);
  expect(await allowed.beat()).toBe('alive');
  // What was cut stays so, also when the server's end goes on sending.
  for (const flow of [forbidden, six]) expect(await flow.beat(300)).not.toBe('alive');
});

it('ends what the container may no longer send, and leaves the rest of its connections alone', async () => {
  const { routewall, web } = await startWeb(outOnly('tcp/80', 'tcp/443'));
  const flows = await Promise.all([80, 443].map((port) => openFlow(web, { protocol: 'tcp', to: OUTSIDE4, port })));
  const [stays, ends] = flows;
  if (stays === undefined || ends === undefined) throw new Error('two flows were opened');
  await routewall.writePolicy('containers/web.yaml', outOnly('tcp/80'));
  await isCut(ends);
  expect(await stays.beat()).toBe('alive');
});

it('ends at its start what was tightened while no daemon ran', async () => {
  const { routewall, web } = await startWeb(outOnly('tcp/80', 'tcp/443'));
  const stays = await openFlow(web, { protocol: 'tcp', to: OUTSIDE4, port: 80 });
  const ends = await openFlow(web, { protocol: 'tcp', to: OUTSIDE4, port: 443 });
  await routewall.daemon.stop('SIGKILL');
  await routewall.writePolicy('containers/web.yaml', outOnly('tcp/80'));
  expect(await ends.beat()).toBe('alive');
  await routewall.daemon.restart();
  await isCut(ends);
  expect(await stays.beat()).toBe('alive');
});
