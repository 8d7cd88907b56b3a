/** Files that the kernel refuses to have read, since the daemon has no descriptor left, are read once it has: nobody tells. */
import { rename, writeFile } from 'node:fs/promises';
import { afterEach, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { run } from '../../sandbox/run.ts';
import { addressesOf, nic, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const allow = (port: number): string => `egress: { rules: [{ allow: tcp/${port}, to: any }] }\n`;

async function startWithOne(): Promise<Routewall> {
  const routewall = await startRoutewall({ config: 'resync: 86400\n' });
  const one = await routewall.addContainer('one', { lines: nic(addressesOf(20)), policy: allow(80) });
  await routewall.start(one);
  // What a start has it read later would fail too, and with it the whole pass.
  await routewall.statusTells(/the kernel holds what the files say/);
  return routewall;
}

/** `edit` while it can open nothing, until it has said that of `refused`. */
async function whileOutOfFiles(
  { daemon, mark }: Routewall,
  edit: () => Promise<unknown>,
  file: RegExp,
  refused = new RegExp(`error: \\S*${file.source}:.*EMFILE`),
): Promise<void> {
  const limit = (files: string) => run('prlimit', ['--pid', String(daemon.child().pid), `--nofile=${files}:`]);
  const before = mark();
  await limit('10');
  await edit();
  await daemon.child().waitForLine(refused, { after: before, timeout: 15_000 });
  await limit('1024');
  const isOver = new RegExp(`no longer: \\S*${file.source}:.*EMFILE`);
  await daemon.child().waitForLine(isOver, { after: before, timeout: 15_000 });
}

test('a policy', async () => {
  const routewall = await startWithOne();
  const { host } = routewall.bed;
  await whileOutOfFiles(routewall, () => routewall.writePolicy('containers/one.yaml', allow(81)), /one\.yaml/);
  const isInForce = async (): Promise<boolean> => {
    const { stdout } = await host.run('nft', ['list', 'table', 'inet', 'routewall']);
    return stdout.includes('tcp dport 81') && !stdout.includes('tcp dport 80');
  };
  await eventually('the edit is in force', isInForce);
});

test("a container's configuration", async () => {
  const routewall = await startWithOne();
  const add = () => routewall.addContainer('two', { lines: nic(addressesOf(21)), policy: allow(80) });
  await whileOutOfFiles(routewall, add, /two\/config/);
  const { stdout } = await routewall.cli('list');
  expect(stdout).toMatch(/^two .*198\.51\.100\.21/m);
});

test('the main configuration', async () => {
  const routewall = await startWithOne();
  const { configFile } = routewall;
  const edit = async (): Promise<void> => {
    await writeFile(`${configFile}.new`, 'resync: 86400\nautoApply: false\n');
    await rename(`${configFile}.new`, configFile);
  };
  // All is read again with it, which fails as a whole.
  await whileOutOfFiles(routewall, edit, /routewall\.yaml/, /error: reading \S*policies: .*EMFILE/);
  await routewall.statusTells(/apply/);
});
