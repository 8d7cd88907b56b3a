/** A real Debian LXC host: systemd as PID 1 in an LXC container, with an uplink to a namespace that is the world. */
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { removeCgroups } from './cgroups.ts';
import { atEnd, makeFolder } from './clean-up.ts';
import { debianTree, type Release } from './debian-tree.ts';
import { eventually } from './eventually.ts';
import { HOST_ADDRESSES, INTERNET } from './host.ts';
import { parseInfo } from './lxc-info.ts';
import { createNamespace, type Namespace, setSysctls } from './namespace.ts';
import { createPlace, type Place } from './place.ts';
import type { RunResult } from './run.ts';
import { runIp } from './wire.ts';

export interface DebianHostOptions {
  readonly release: Release;
  /** Files of the host before its first boot, by path without the leading slash. */
  readonly files?: Readonly<Record<string, string>>;
  /** Shell commands that ifupdown runs when the uplink is up, at each boot. */
  readonly up?: readonly string[];
}

/** Where the host's uplink ends outside; it outlives the host's reboots, so that a capture sees each boot whole. */
export const OUTSIDE_BRIDGE = 'br0';
/** Where the host sees the folder that it shares with the bed. */
export const SHARED = '/srv';

const OUTSIDE_ADDRESSES = ['192.0.2.2/24', '2001:db8:0:1::2/64'] as const;
const CONTAINER_PREFIXES = ['198.51.100.0/24', '2001:db8:100::/64'] as const;
const BOOT_TIMEOUT = 90_000;

/** Switched off when it returns. Goes at the latest by `cleanUp()`. */
export async function createDebianHost({ release, files = {}, up = [] }: DebianHostOptions): Promise<DebianHost> {
  const tree = await debianTree(release);
  const outside = await createOutside();
  const [folder, shared] = [await makeFolder(), await makeFolder()];
  const host = new DebianHost({ release, outside, folder, shared });
  await mkdir(join(folder, 'root'));
  await host.prepare('etc/network/interfaces', [UPLINK, ...up.map((command) => `  up ${command}\n`)].join(''));
  for (const [path, text] of Object.entries({ ...FILES, ...files })) await host.prepare(path, text);
  for (const unit of MASKED) await host.mask(unit);
  await mkdir(dirname(host.configFile), { recursive: true });
  const wire = join(folder, 'wire');
  await writeFile(wire, WIRE, { mode: 0o755 });
  await writeFile(host.configFile, renderConfig(host, tree, wire));
  return host;
}

/** The same, booted: its systemd has started all. */
export async function bootDebianHost(options: DebianHostOptions): Promise<DebianHost> {
  const host = await createDebianHost(options);
  await host.boot();
  return host;
}

async function createOutside(): Promise<Namespace> {
  const outside = await createNamespace('world');
  // A new namespace inherits this machine's settings; and each probe's refusal shall be told.
  await setSysctls(outside, {
    'net/ipv6/conf/all/disable_ipv6': '0',
    'net/ipv6/conf/default/disable_ipv6': '0',
    'net/ipv4/icmp_ratelimit': '0',
    'net/ipv6/icmp/ratelimit': '0',
  });
  await runIp(outside, [`link add ${OUTSIDE_BRIDGE} type bridge forward_delay 0`, `link set ${OUTSIDE_BRIDGE} up`]);
  await runIp(outside, [
    ...OUTSIDE_ADDRESSES.map((address) => `address add ${address} dev ${OUTSIDE_BRIDGE}${nodad(address)}`),
    ...INTERNET.map((address) => `address add ${address} dev lo${nodad(address)}`),
  ]);
  const [via4, via6] = HOST_ADDRESSES.map((address) => address.replace(/\/.*/, ''));
  await runIp(
    outside,
    CONTAINER_PREFIXES.map((to) => `route add ${to} via ${to.includes(':') ? via6 : via4}`),
  );
  return outside;
}

const nodad = (address: string): string => (address.includes(':') ? ' nodad' : '');

/** Debian's own way to give a server a static address. */
const UPLINK = `auto lo
iface lo inet loopback
auto eth0
iface eth0 inet static
  address ${HOST_ADDRESSES[0]}
  gateway ${OUTSIDE_ADDRESSES[0].replace(/\/.*/, '')}
iface eth0 inet6 static
  address ${HOST_ADDRESSES[1]}
  gateway ${OUTSIDE_ADDRESSES[1].replace(/\/.*/, '')}
  dad-attempts 0
`;

const FILES: Readonly<Record<string, string>> = {
  // Without dnsmasq the bridge that nobody uses would fail, and the host with it.
  'etc/default/lxc-net': 'USE_LXC_BRIDGE="false"\n',
  'etc/machine-id': '',
  // LXC leaves it out, and systemd's PrivateDevices fails without it.
  'etc/tmpfiles.d/ptmx.conf': 'L /dev/ptmx - - - - pts/ptmx\n',
  'etc/hostname': 'lxchost\n',
  'etc/hosts': '127.0.0.1 localhost\n::1 localhost\n127.0.1.1 lxchost\n',
};

/** What would write to the whole machine's kernel settings, wait for its hardware, or for a mirror. */
const MASKED = [
  ...['systemd-sysctl.service', 'systemd-modules-load.service', 'e2scrub_reap.service'],
  ...['apt-daily.timer', 'apt-daily-upgrade.timer', 'dpkg-db-backup.timer', 'e2scrub_all.timer', 'fstrim.timer'],
];

/** LXC's own `link` looks for a bridge below /sys, which belongs to another namespace. The last argument is the veth. */
const WIRE = `#!/bin/sh
for veth; do :; done
exec ip link set "$veth" master ${OUTSIDE_BRIDGE} up
`;

const renderConfig = ({ name, root, shared }: DebianHost, tree: string, wire: string): string => `lxc.uts.name = lxchost
lxc.rootfs.path = overlay:${tree}:${root}
lxc.init.cmd = /sbin/init
lxc.cap.drop =
lxc.mount.auto = proc:rw sys:rw
lxc.mount.entry = cgroup2 sys/fs/cgroup cgroup2 rw,create=dir 0 0
lxc.mount.entry = tmpfs run tmpfs rw,nosuid,nodev,mode=755 0 0
lxc.mount.entry = tmpfs tmp tmpfs rw,nosuid,nodev 0 0
lxc.mount.entry = ${shared} srv none bind 0 0
lxc.apparmor.profile = unconfined
lxc.tty.max = 0
lxc.pty.max = 256
lxc.cgroup.dir = ${name}
lxc.signal.halt = SIGRTMIN+4
lxc.net.0.type = veth
lxc.net.0.script.up = ${wire}
lxc.net.0.flags = up
lxc.net.0.name = eth0
lxc.net.0.hwaddr = 02:00:00:00:00:01
`;

export class DebianHost {
  readonly release: Release;
  /** The host's neighbour on the uplink, and everything beyond. */
  readonly outside: Namespace;
  /** Runs the host's own programs, as root in a shell there would. */
  readonly system: Place;
  /** A folder of this machine's that the host sees as `SHARED`. */
  readonly shared: string;
  readonly name: string;
  /** What differs from Debian's tree; only to be written while the host is off. */
  readonly root: string;
  readonly configFile: string;
  /** Switches it off where it runs, and forgets it. */
  readonly destroy: () => Promise<void>;
  readonly #lxcPath: string;
  readonly #enter: Place;
  #network: Place | undefined;

  constructor(made: { release: Release; outside: Namespace; folder: string; shared: string }) {
    const { release, outside, folder, shared } = made;
    this.release = release;
    this.outside = outside;
    this.shared = shared;
    this.root = join(folder, 'root');
    // Its cgroups bear the name, by which a crashed run's are found.
    this.name = `${outside.name}-${release}`;
    this.#lxcPath = join(folder, 'lxc');
    this.configFile = join(folder, 'lxc', this.name, 'config');
    const attach = ['lxc-attach', '-P', this.#lxcPath, '-n', this.name, '--clear-env'];
    const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
    const environment = [path, 'HOME=/root', 'LC_ALL=C.UTF-8', 'TERM=dumb'].flatMap((pair) => ['-v', pair]);
    // LXC's sockets are scoped by the network namespace, so each command about the host runs in the outside. But `ip
    // netns exec` hides the cgroups: without one of its own, the host's systemd would take over this machine's.
    const enter = ['nsenter', `--net=/run/netns/${outside.name}`, '--'] as const;
    this.#enter = createPlace(`LXC beside ${release}`, [...enter]);
    this.system = createPlace(release, [...enter, ...attach, ...environment, '--']);
    this.destroy = atEnd(`destroy Debian host ${this.name}`, async () => {
      if ((await this.state()) !== 'STOPPED') await this.cutPower();
      removeCgroups(this.name);
    });
  }

  /** Writes one of its files while it is off. */
  async prepare(path: string, text: string): Promise<void> {
    await mkdir(dirname(join(this.root, path)), { recursive: true });
    await writeFile(join(this.root, path), text);
  }

  /** Masks one of its units while it is off. */
  async mask(unit: string): Promise<void> {
    const folder = join(this.root, 'etc/systemd/system');
    await mkdir(folder, { recursive: true });
    await symlink('/dev/null', join(folder, unit));
  }

  /** Writes one of its files while it runs; `path` is absolute. A policy file so written is never seen half. */
  async write(path: string, text: string): Promise<void> {
    const half = `${path}.half`;
    await this.system.run('mkdir', ['-p', dirname(path)]);
    await this.system.run('dd', ['status=none', `of=${half}`], { input: text });
    await this.system.run('mv', [half, path]);
  }

  /** Returns when systemd has started all; `systemctl --failed` says what went wrong. */
  async boot(): Promise<void> {
    await this.powerOn();
    await this.waitForBoot();
  }

  /** Returns while init is starting. */
  async powerOn(): Promise<void> {
    const log = join(this.#lxcPath, 'lxc.log');
    try {
      await this.#lxc('lxc-start', '-d', '-l', 'INFO', '-o', log);
    } catch (cause) {
      const said = await readFile(log, 'utf8').catch(String);
      throw new Error(`Debian host ${this.name}: did not start\n${said.split('\n').slice(-20).join('\n')}`, { cause });
    }
  }

  /** `running` or `degraded`, once it is no longer starting. */
  async waitForBoot(): Promise<string> {
    return await eventually(
      `systemd of ${this.name} has booted`,
      async () => {
        const { stdout } = await this.system.runForResult('systemctl', ['is-system-running']);
        return /^(running|degraded)$/.test(stdout) ? stdout : undefined;
      },
      BOOT_TIMEOUT,
    );
  }

  /** Shuts it down and boots it again; returns when all is started. */
  async reboot(): Promise<void> {
    await this.beginReboot();
    await this.waitForBoot();
  }

  /** Returns when the new init runs. */
  async beginReboot(): Promise<void> {
    const before = await this.pid();
    await this.#leave();
    await this.#lxc('lxc-stop', '--reboot', '--nowait');
    const rebooted = async (): Promise<boolean> => {
      const info = await this.#info();
      return info.get('State') === 'RUNNING' && Number(info.get('PID')) !== before;
    };
    await eventually(`${this.name} reboots`, rebooted, BOOT_TIMEOUT);
  }

  /** As if its plug were pulled. */
  async cutPower(): Promise<void> {
    await this.#leave();
    await this.#lxc('lxc-stop', '-k');
  }

  async shutDown(): Promise<void> {
    await this.#leave();
    await this.#lxc('lxc-stop', '-t', '60');
  }

  /** As `lxc-info` says it, such as `RUNNING`. */
  async state(): Promise<string> {
    return (await this.#info()).get('State') ?? 'STOPPED';
  }

  /** Of its init, as this machine counts. */
  async pid(): Promise<number> {
    const pid = Number((await this.#info()).get('PID'));
    if (!Number.isInteger(pid)) throw new Error(`Debian host ${this.name}: does not run`);
    return pid;
  }

  /** Its network namespace with this machine's programs in reach. Ends with each shutdown. */
  async network(): Promise<Place> {
    this.#network ??= createPlace(`network of ${this.release}`, ['nsenter', '-t', `${await this.pid()}`, '-n', '--']);
    return this.#network;
  }

  async #leave(): Promise<void> {
    const network = this.#network;
    this.#network = undefined;
    await network?.close();
  }

  #lxc(tool: string, ...args: readonly string[]): Promise<RunResult> {
    return this.#enter.run(tool, ['-P', this.#lxcPath, '-n', this.name, ...args], { timeout: BOOT_TIMEOUT });
  }

  async #info(): Promise<ReadonlyMap<string, string>> {
    const { stdout } = await this.#enter.runForResult('lxc-info', ['-P', this.#lxcPath, '-n', this.name]);
    return parseInfo(stdout);
  }
}
