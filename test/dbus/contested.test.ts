/** Of an address that two containers want, answers over the bus name the one that has it. */
import { afterAll, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { nic, OPEN, startRoutewall } from '../lxc/routewall.ts';
import { startBus } from './system-bus.ts';

afterAll(cleanUp);

test('explain tells who has a contested address, whoever else is stopped and whatever waits to be applied', async () => {
  const bus = await startBus();
  const routewall = await startRoutewall({ env: bus.env, config: 'autoApply: false\n' });
  await routewall.daemon.waitForLog(/D-Bus: serving/);
  await routewall.addContainer('web', { policy: OPEN, lines: nic(['198.51.100.10']) });
  // To the daemon, a veth that is there is a container that runs.
  const appear = async (name: string): Promise<void> => {
    const lines = nic(['198.51.100.77'], { extra: [`veth.pair = v${name}`] });
    await routewall.addContainer(name, { policy: OPEN, lines });
    await bus.call('Apply', 'u', '0');
    await routewall.bed.host.run('ip', ['link', 'add', `v${name}`, 'type', 'veth', 'peer', 'name', `p${name}`]);
    await routewall.bed.host.run('ip', ['link', 'set', `v${name}`, 'up']);
  };
  await appear('last');
  await routewall.enforced('last');
  await appear('first');
  await eventually('both are known to run', async () => {
    const known = JSON.parse(await bus.call('List')).filter(({ state }: { state: string }) => state === 'RUNNING');
    return known.length === 2;
  });
  const explain = async (): Promise<string> =>
    JSON.parse(await bus.call('Explain', 'sssus', 'host', '198.51.100.77', 'tcp/80', '0', '')).answers[0].steps.at(-1)
      .at;
  expect(await explain()).toBe('ingress of last');
  await routewall.writePolicy('containers/web.yaml', 'ingress: { rules: [{ allow: tcp/80, from: any }] }\n');
  expect(await explain()).toBe('ingress of last');
});
