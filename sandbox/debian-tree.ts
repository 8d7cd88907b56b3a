/** Debian's root folders, made by debootstrap once and kept in the project's ignored folder. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from './eventually.ts';
import { run } from './run.ts';
import { isAlive } from './sweep.ts';

export type Release = 'bookworm' | 'trixie';

/** Seen from the sources and from the bundle, which both lie one folder below the project. */
const CACHE = fileURLToPath(new URL('../.cache/debian', import.meta.url));

/** An LXC host's, without recommendations; everything that the tests run there, since it has no way out to a mirror. */
const PACKAGES = [
  ...['systemd', 'systemd-sysv', 'dbus', 'procps', 'ifupdown', 'iproute2', 'iputils-ping'],
  ...[
    'lxc',
    'nftables',
    'iptables',
    'ipset',
    'arptables',
    'conntrack',
    'nodejs',
    'busybox-static',
    'libglib2.0-bin',
    'bash-completion',
  ],
  // debootstrap knows no alternatives: firewalld's polkitd wants a logind.
  ...['ufw', 'firewalld', 'libpam-systemd'],
];

interface Further {
  readonly packages: readonly string[];
  /** What these switch on by themselves. */
  readonly units: readonly string[];
}

/** What many hosts have besides: containers of Docker's, and Debian's own bridge for LXC's. */
const BESIDE: Readonly<Record<Release, Further>> = {
  bookworm: besides('docker.io'),
  // Its command is in a package of its own since.
  trixie: besides('docker.io', 'docker-cli'),
};

function besides(...docker: readonly string[]): Further {
  return { packages: ['dnsmasq-base', ...docker], units: ['docker.service', 'docker.socket', 'containerd.service'] };
}

/** What makes such a tree a machine that boots by itself, as Debian's are, on which `npm start`'s story can be told. */
const KERNEL: Further = {
  packages: ['linux-image-amd64', 'apparmor', 'initramfs-tools', 'zstd', 'tcpdump'],
  units: [],
};

/** What a package switches on by itself; the test that is about it starts it. */
const SWITCHED_OFF = ['ufw.service', 'firewalld.service'];

/** Milliseconds; a mirror may be slow. */
const PATIENCE = 900_000;

/** The root folder of that release; takes a minute when it has to be made, by one process for all. Nobody may write to it. */
export const debianTree = (release: Release): Promise<string> => makeOnce(release, release, BESIDE[release]);

/** The same with Debian's own kernel, which takes some minutes more. */
export const debianTreeWithKernel = (release: Release): Promise<string> =>
  makeOnce(`${release}+kernel`, release, KERNEL);

async function makeOnce(name: string, release: Release, further: Further): Promise<string> {
  const packages = [...PACKAGES, ...further.packages];
  const units = [...SWITCHED_OFF, ...further.units];
  const key = createHash('sha256')
    .update([...packages, ...units].join())
    .digest('hex');
  const tree = join(CACHE, `${name}-${key.slice(0, 12)}`);
  await mkdir(CACHE, { recursive: true });
  await eventually(`who makes ${tree} is done`, async () => !(await isGrowing(tree)), PATIENCE);
  if (existsSync(tree)) return tree;
  await removeOthers(name);
  const growing = `${tree}-${process.pid}.growing`;
  await mkdir(growing);
  await bootstrap(release, { packages, units }, growing).catch(async (cause: unknown) => {
    // Others would wait for it.
    await rm(growing, { recursive: true, force: true });
    throw cause;
  });
  await rename(growing, tree);
  return tree;
}

const growerOf = (name: string): number | undefined => Number(/-(\d+)[.]growing$/.exec(name)?.[1]) || undefined;

/** By another process that lives. */
async function isGrowing(tree: string): Promise<boolean> {
  const growers = (await readdir(CACHE)).filter((name) => name.startsWith(`${basename(tree)}-`)).map(growerOf);
  return growers.some((pid) => pid !== undefined && isAlive(pid));
}

async function bootstrap(release: Release, { packages, units }: Further, folder: string): Promise<void> {
  const options = ['--variant=minbase', `--include=${packages.join(',')}`];
  await run('debootstrap', [...options, release, folder, await readMirror()], { timeout: PATIENCE });
  await run('systemctl', ['--quiet', '--root', folder, 'disable', ...units]);
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

const WEEK = 7 * 24 * 3_600_000;

/** Trees of an earlier list of packages, which another checkout may still use for a while, and halves of interrupted runs. */
async function removeOthers(name: string): Promise<void> {
  for (const other of (await readdir(CACHE)).filter((other) => other.startsWith(`${name}-`))) {
    const grower = growerOf(other);
    const age = Date.now() - (await stat(join(CACHE, other))).mtimeMs;
    const isUsed = grower === undefined ? age < WEEK : isAlive(grower);
    if (!isUsed) await rm(join(CACHE, other), { recursive: true, force: true });
  }
}
