/** Debian's root folders, made by debootstrap once and kept in the project's ignored folder. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './run.ts';
import { isAlive } from './sweep.ts';

export type Release = 'bookworm' | 'trixie';

/** Seen from the sources and from the bundle, which both lie one folder below the project. */
const CACHE = fileURLToPath(new URL('../.cache/debian', import.meta.url));

/** An LXC host's, without recommendations; everything that the tests run there, since it has no way out to a mirror. */
const PACKAGES = [
  ...['systemd', 'systemd-sysv', 'dbus', 'procps', 'ifupdown', 'iproute2', 'iputils-ping'],
  ...['lxc', 'nftables', 'iptables', 'conntrack', 'nodejs', 'busybox-static', 'libglib2.0-bin', 'bash-completion'],
];

/** The root folder of that release; takes a minute when it has to be made. Nobody may write to it. */
export async function debianTree(release: Release): Promise<string> {
  const key = createHash('sha256').update(PACKAGES.join()).digest('hex');
  const tree = join(CACHE, `${release}-${key.slice(0, 12)}`);
  if (existsSync(tree)) return tree;
  await mkdir(CACHE, { recursive: true });
  await removeOthers(release);
  const growing = join(CACHE, `${release}-${process.pid}.growing`);
  await bootstrap(release, growing);
  await rename(growing, tree);
  return tree;
}

async function bootstrap(release: Release, folder: string): Promise<void> {
  const options = ['--variant=minbase', `--include=${PACKAGES.join(',')}`];
  await run('debootstrap', [...options, release, folder, await readMirror()], { timeout: 900_000 });
  await rm(join(folder, 'var/cache/apt/archives'), { recursive: true, force: true });
  await mkdir(join(folder, 'var/cache/apt/archives/partial'), { recursive: true });
}

/** The mirror that this machine's apt is set up with. */
async function readMirror(): Promise<string> {
  const format = '$(ORIGIN) $(COMPONENT) $(CODENAME) $(REPO_URI)';
  const { stdout } = await run('apt-get', ['indextargets', '--format', format, 'Created-By: Packages']);
  const found = /^Debian main [a-z]+ (\S+)$/m.exec(stdout)?.[1];
  if (found === undefined) throw new Error(`apt-get indextargets: names no Debian mirror\n${stdout}`);
  return found;
}

/** Trees of an earlier list of packages, and halves of interrupted runs. */
async function removeOthers(release: Release): Promise<void> {
  for (const name of (await readdir(CACHE)).filter((name) => name.startsWith(`${release}-`))) {
    const grower = Number(/-(\d+)[.]growing$/.exec(name)?.[1]);
    if (!isAlive(grower)) await rm(join(CACHE, name), { recursive: true, force: true });
  }
}
