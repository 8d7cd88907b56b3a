/** What the kernel dropped with a link is written again, by the very pass that changes something else of it. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Applier } from '../../controller/apply/apply.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Namespace } from '../../sandbox/namespace.ts';
import { nicOf, stateOf } from '../controller/states.ts';
import { openApplier, requestOf } from './applier-bed.ts';

const veths = new Set([nicOf(1, 80).hostVeth]);

let host: Namespace;
let applier: Applier;
const routes = async (): Promise<string> => (await host.run('ip', ['route', 'show', 'dev', 'veth1'])).stdout;
const ip = (...args: string[]) => host.run('ip', args);

beforeEach(async () => {
  ({ host, applier } = await openApplier());
  await ip('link', 'add', 'veth1', 'type', 'veth', 'peer', 'name', 'peer1');
  await applier.resync(requestOf(stateOf()));
});
afterEach(cleanUp);

it('a route that went before its rules changed is back after that change', async () => {
  await ip('link', 'set', 'veth1', 'up');
  await applier.apply(requestOf(stateOf(nicOf(1, 80))));
  await ip('route', 'del', '198.51.100.1/32', 'dev', 'veth1');
  const applied = await applier.apply(requestOf(stateOf(nicOf(1, 443))));
  await applier.repairs.reassert(veths, applied);
  expect(await routes()).toContain('198.51.100.1');
});

it('a route that was refused while the link was down is tried again', async () => {
  const applied = await applier.apply(requestOf(stateOf(nicOf(1, 80))));
  expect(applied.unrouted.size).toBe(1);
  await ip('link', 'set', 'veth1', 'up');
  await applier.repairs.reassert(veths, applied);
  expect(await routes()).toContain('198.51.100.1');
});

it('what the change itself wrote is not written twice', async () => {
  await ip('link', 'set', 'veth1', 'up');
  const applied = await applier.apply(requestOf(stateOf(nicOf(1, 80))));
  expect(await routes()).toContain('198.51.100.1');
  await ip('route', 'del', '198.51.100.1/32', 'dev', 'veth1');
  await applier.repairs.reassert(veths, applied);
  expect(await routes()).toBe('');
  // The route that goes is an event of its own, for the pass after that change.
  await applier.repairs.reassert(veths, await applier.apply(requestOf(stateOf(nicOf(1, 80)))));
  expect(await routes()).toContain('198.51.100.1');
});
