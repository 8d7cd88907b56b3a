/** A command by itself tells what runs by the links that configurations name, without LXC. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { cleanUp, makeFolder } from '../../sandbox/clean-up.ts';
import { createHost } from '../../sandbox/host.ts';
import { NODE, PROGRAM } from '../../sandbox/routewall.ts';
import { runIp } from '../../sandbox/wire.ts';
import { addressesOf, nic } from './routewall.ts';

afterAll(cleanUp);

/** By container: the name that its configuration has for its veth. */
const NAMED = { web: 'web0', db: 'db0', one: 'same0', other: 'same0' } as const;

test('whose link is there runs, and where two name one, neither is taken for it', async () => {
  const { host, lxcPath } = await createHost();
  await runIp(host, ['link add web0 type veth peer name eth1', 'link add same0 type veth peer name eth2']);
  for (const [index, [name, veth]] of Object.entries(NAMED).entries()) {
    await mkdir(join(lxcPath, name));
    const lines = nic(addressesOf(10 + index), { extra: [`veth.pair = ${veth}`] });
    await writeFile(join(lxcPath, name, 'config'), lines.join('\n'));
  }
  const words = ['list', '--json', '--policies', await makeFolder(), '-P', lxcPath];
  const { stdout } = await host.run(NODE, [PROGRAM, ...words]);
  const listed: { container: string; state: string; nics: { hostVeth: string | null }[] }[] = JSON.parse(stdout);
  expect(listed.map(({ container, state, nics }) => [container, state, nics[0]?.hostVeth])).toEqual([
    ['db', 'STOPPED', null],
    ['one', 'STOPPED', null],
    ['other', 'STOPPED', null],
    ['web', 'RUNNING', 'web0'],
  ]);
});
