/** A bridge of Linux's is never taken for one of Open vSwitch's, which no rule of ours stands before. */
import { setImmediate } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { isOtherBridge } from '../../controller/host/unenforceable-nics.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { createNamespace } from '../../sandbox/namespace.ts';

afterEach(cleanUp);

it('also while the kernel makes it, or deletes it', async () => {
  const host = await createNamespace('host');
  await host.run('ip', ['link', 'add', 'ovsbr0', 'type', 'veth', 'peer', 'name', 'other']);
  const links = `/proc/${host.spawn('sleep', ['600']).pid}/root/sys/class/net`;
  const isOther = (name: string): boolean => isOtherBridge(name, links);
  await expect.poll(() => isOther('ovsbr0')).toBe(true);
  expect(['absent', 'a/b'].map(isOther)).toEqual([false, false]);

  const lines = ['link add br0 type bridge', 'link del br0'].join('\n');
  let isChanging = true;
  const changes = host.run('ip', ['-batch', '-'], { input: `${lines}\n`.repeat(100) }).finally(() => {
    isChanging = false;
  });
  const seen: boolean[] = [];
  while (isChanging) {
    for (let time = 0; time < 20; time++) seen.push(isOther('br0'));
    await setImmediate();
  }
  await changes;
  expect(seen.length).toBeGreaterThan(100);
  expect(seen.filter(Boolean)).toEqual([]);
});
