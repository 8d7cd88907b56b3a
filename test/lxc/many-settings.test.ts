/** What others do to the settings of hundreds of interfaces at once is put back of each. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { nic, startRoutewall } from './routewall.ts';
import { whileStopped } from './while-stopped.ts';

afterEach(cleanUp);

/** More than one pass looks at. Links that configurations name stand for containers, and cost no LXC. */
const COUNT = 450;
const veth = (index: number): string => `m${index}`;

test('none of them is forgotten', async () => {
  const routewall = await startRoutewall();
  const { bed, daemon } = routewall;
  await daemon.stop();
  for (let index = 0; index < COUNT; index += 1) {
    const folder = join(bed.lxcPath, `c${index}`);
    const lines = nic([`198.18.${index >> 8}.${index & 255}`], { extra: [`veth.pair = ${veth(index)}`] });
    await mkdir(folder);
    await writeFile(join(folder, 'config'), `${lines.join('\n')}\n`);
  }
  const links = Array.from({ length: COUNT }, (_, index) => `link add ${veth(index)} up type veth peer name p${index}`);
  await bed.host.run('ip', ['-batch', '-'], { input: `${links.join('\n')}\n` });
  await daemon.restart();
  const read = async (): Promise<number> => {
    const { stdout } = await bed.host.run('sh', ['-c', 'cat /proc/sys/net/ipv4/conf/m[0-9]*/forwarding | grep -c 1']);
    return Number(stdout);
  };
  await eventually('all forward', async () => (await read()) === COUNT);
  // All of it is told at once.
  await whileStopped(routewall, async () => {
    await bed.host.run('sh', ['-c', 'for each in /proc/sys/net/ipv4/conf/m[0-9]*/forwarding; do echo 0 >$each; done']);
  });
  await eventually('all forward again', async () => (await read()) === COUNT);
}, 180_000);
