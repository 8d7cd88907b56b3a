/** A link that took another's name while a pass was at work, and got what was meant for the one before. */
import { afterEach, expect, it } from 'vitest';
import { parseAddress } from '../../render/address.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { nicOf, stateOf } from '../controller/states.ts';
import { openApplier, requestOf } from './applier-bed.ts';

afterEach(cleanUp);

it('takes a gateway off a veth whose container is gone, though the link was made anew', async () => {
  const { host, applier } = await openApplier();
  const address = parseAddress('fe80::1');
  if (address === undefined) throw new Error('no address');
  const plain = nicOf(1, 80);
  const withGateway = { ...plain, gateways: [{ address, dev: plain.hostVeth }] };
  const addresses = async () => (await host.run('ip', ['address', 'show', 'dev', 'veth1'])).stdout;
  const renew = async () => {
    await host.run('sh', ['-c', 'ip link del veth1 2>/dev/null; ip link add veth1 type veth peer name peer1']);
    await host.run('ip', ['link', 'set', 'veth1', 'up']);
  };
  await renew();
  await applier.apply(requestOf(stateOf(withGateway)));
  expect(await addresses()).toContain('fe80::1/128');
  await renew();
  // What a pass writes that began before the link was replaced.
  await applier.repairs.reassert(new Set([plain.hostVeth]));
  expect(await addresses()).toContain('fe80::1/128');
  await applier.resync(requestOf(stateOf()));
  expect(await addresses()).not.toContain('fe80::1/128');
});
