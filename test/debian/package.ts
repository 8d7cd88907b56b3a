/** The Debian package under test, and how a Debian host gets it. */
import { copyFile, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { makeFolder } from '../../sandbox/clean-up.ts';
import { type DebianHost, SHARED } from '../../sandbox/debian-host.ts';
import { PROGRAM } from '../../sandbox/routewall.ts';
import { type RunResult, run } from '../../sandbox/run.ts';

/** As `npm run package` made it. */
export async function packageFile(): Promise<string> {
  const dist = dirname(PROGRAM);
  const found = (await readdir(dist)).filter((name) => /^routewall_.*_all[.]deb$/.test(name));
  const [name] = found;
  if (name === undefined || found.length > 1) throw new Error(`${dist}: expected one package, found: ${found.join()}`);
  return join(dist, name);
}

/** The same package as another version. */
export async function repack(file: string, version: string): Promise<string> {
  const folder = await makeFolder();
  const [tree, made] = [join(folder, 'tree'), join(folder, `routewall_${version}_all.deb`)];
  await run('dpkg-deb', ['--raw-extract', file, tree]);
  const control = join(tree, 'DEBIAN/control');
  await writeFile(control, (await readFile(control, 'utf8')).replace(/^Version: .*$/m, `Version: ${version}`));
  await run('dpkg-deb', ['--root-owner-group', '--build', tree, made]);
  return made;
}

/** Puts a file of this machine's there. */
export async function copyToHost(host: DebianHost, file: string, path: string): Promise<void> {
  const name = basename(file);
  await copyFile(file, join(host.shared, name));
  await host.system.run('cp', [`${SHARED}/${name}`, path]);
  await rm(join(host.shared, name));
}

/** `apt install ./FILE`, as an administrator would; the host has no way to a mirror, and needs none. */
export async function aptInstall(host: DebianHost, file: string): Promise<RunResult> {
  const path = `/tmp/${basename(file)}`;
  await copyToHost(host, file, path);
  const words = ['DEBIAN_FRONTEND=noninteractive', 'apt-get', 'install', '-y', path];
  const result = await host.system.run('env', words, { timeout: 120_000 });
  await host.system.run('rm', [path]);
  return result;
}
