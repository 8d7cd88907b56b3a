/** Where the kernel can't be asked whether a hook is right, its container waits, or doesn't start; the others do. */
import { afterEach, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { childrenOf, commandOf } from '../attack/processes.ts';
import { makeTools } from '../attack/tools.ts';
import { addressesOf, nic, OPEN, startRoutewall } from '../lxc/routewall.ts';

afterEach(cleanUp);

test.each(['script.up', 'start-host'])(
  '%s that the kernel does not confirm keeps no other container waiting',
  async (kind) => {
    const tools = await makeTools();
    const routewall = await startRoutewall({ daemonEnv: { PATH: tools.path } });
    const { hook } = routewall;
    const one = await routewall.addContainer('one', {
      policy: OPEN,
      lines: [
        ...nic(addressesOf(20)),
        `${kind === 'start-host' ? 'lxc.hook.start-host' : 'lxc.net.0.script.up'} = ${hook}`,
      ],
    });
    const add = (name: string, last: number) =>
      routewall.addContainer(name, { policy: OPEN, lines: nic(addressesOf(last)) });
    const [two, three] = [await add('two', 21), await add('three', 22)];
    // What would ask is stopped, and so is what is started in its place.
    await tools.setPerl({ words: '*namespace_behind*', does: 'hang' });
    const forks = childrenOf(routewall.daemon.child().pid).find(
      (pid) => commandOf(pid) === 'routewall: starts commands',
    );
    if (forks === undefined) throw new Error('nothing forks');
    process.kill(forks, 'SIGSTOP');
    let isStarted = false;
    const starting = one.start().then(() => {
      isStarted = true;
    });
    await routewall.start(two);
    await routewall.start(three);
    expect(isStarted).toBe(false);
    const mark = routewall.mark();
    await tools.setPerl();
    await starting;
    await routewall.enforced('one', { after: mark });
  },
);
