/** The host's network stays the same object while containers come and go: all that is compiled hangs on it. */
import { expect, test } from 'vitest';
import { createAssembler } from '../../../controller/pass/assemble.ts';
import { TestHost } from '../../policies/compile-host.ts';

test('is another one only where links are, or what of them are uplinks', () => {
  const host = new TestHost().configure('web', 'ipv4.address = 198.51.100.1/32').start('web');
  const { assemble } = createAssembler();
  const networkOf = () => assemble(host.inputs()).network;
  const first = networkOf();
  host.configure('db', 'ipv4.address = 198.51.100.2/32', 'veth.pair = db0');
  expect(networkOf()).toBe(first);

  host.link('192.0.2.7/24');
  const moved = networkOf();
  expect([...moved.addresses]).toEqual(['192.0.2.7']);

  host.configure('db', 'ipv4.address = 198.51.100.2/32', 'veth.pair = eth0');
  expect([moved.uplinks, networkOf().uplinks]).toEqual([['eth0'], []]);
});
