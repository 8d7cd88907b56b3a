/** A container that runs from an LXC path which nobody has told routewall is not passed over in silence. */
import { afterEach, expect, it } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { makeLxcPath } from '../../sandbox/host.ts';
import { addressesOf, nic, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

it('status and doctor name it, with its path', async () => {
  const rw = await startRoutewall();
  const lxcPath = await makeLxcPath();
  const web = await rw.addContainer('web', { lxcPath, lines: nic(addressesOf(20)), policy: '{}\n' });
  const elsewhere = async () => JSON.parse((await rw.cli('status', '--json')).stdout).elsewhere;
  const doctor = async (): Promise<string> => (await rw.cli('doctor')).stdout;
  expect([await elsewhere(), (await doctor()).includes(lxcPath)]).toEqual([[], false]);
  await web.start();
  expect(await elsewhere()).toEqual([{ container: 'web', lxcPath }]);
  const { stdout } = await rw.cli('status');
  expect(stdout).toContain(`\nunder no policy, since lxcPaths doesn't name where it runs from: web (${lxcPath})\n`);
  const db = await rw.addContainer('db', { lines: nic(addressesOf(30)), policy: '{}\n' });
  await rw.start(db);
  await rw.statusTells(/^db +running/m);
  expect((await rw.cli('status', '-n', 'db')).stdout).not.toContain(lxcPath);
  expect((await rw.cli('status', '-n', 'web')).stderr).toContain(
    `knows no container "web": lxcPaths doesn't name ${lxcPath}`,
  );
  expect(await doctor()).toContain(
    `warning: web runs from ${lxcPath}, which lxcPaths doesn't name: no policy is in force for it, and a routed one gets nothing\n` +
      `    lxcPaths: ["${rw.lxcPaths[0]}", "${lxcPath}"] in routewall.yaml\n`,
  );
  await web.stop();
  expect(await elsewhere()).toEqual([]);
});
