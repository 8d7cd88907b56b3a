/** Real LXC containers of one busybox each. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { atEnd } from './clean-up.ts';
import { eventually } from './eventually.ts';
import { parseInfo } from './lxc-info.ts';
import { createPlace, type Place } from './place.ts';
import { makeRootfs } from './rootfs.ts';
import type { RunResult } from './run.ts';
import { isAlive, kill, parentOf } from './sweep.ts';

export interface ContainerOptions {
  /** Where LXC runs: the host's namespace. */
  readonly host: Place;
  readonly lxcPath: string;
  /** LXC's name for it; anything but a slash or a line's end. */
  readonly name: string;
  /** Lines of LXC configuration besides the base, such as `lxc.net.0.type = veth`. */
  readonly config: readonly string[];
  /** Shell commands that init runs in the background before anything else; output in /run/boot.log. */
  readonly command?: string;
}

/** Makes the folder with the configuration; nothing runs yet. Goes at the latest by `cleanUp()`. */
export async function createContainer(options: ContainerOptions): Promise<Container> {
  const container = new Container(options);
  await makeRootfs(container.rootfs, { command: options.command ?? '' });
  await container.configure(options.config);
  return container;
}

/** One run of the container, from one init's start to its end. */
interface Run {
  readonly pid: number;
  readonly place: Place;
}

const SIGINT = 2;

/** The kernel drops a signal that an init hasn't asked for yet, and `lxc-stop` waits for a minute then. */
async function catches(pid: number, signal: number): Promise<boolean> {
  const [, mask = ''] = /^SigCgt:\s+([0-9a-f]+)$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? [];
  return ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n;
}

export class Container {
  readonly name: string;
  readonly lxcPath: string;
  readonly configFile: string;
  readonly rootfs: string;
  /** Stops it where it runs and removes its folder. */
  readonly destroy: () => Promise<void>;
  readonly #host: Place;
  readonly #logFile: string;
  #run: Run | undefined;
  /** An init whose monitor was killed; LXC doesn't know it any more. */
  #orphan: number | undefined;

  constructor({ host, lxcPath, name }: ContainerOptions) {
    const folder = join(lxcPath, name);
    this.name = name;
    this.lxcPath = lxcPath;
    this.configFile = join(folder, 'config');
    this.rootfs = join(folder, 'rootfs');
    this.#logFile = join(folder, 'lxc.log');
    this.#host = host;
    this.destroy = atEnd(`destroy container ${name}`, async () => {
      await this.#leave();
      if ((await this.state()) !== 'STOPPED') await this.#lxc('lxc-stop', '-k');
      await this.endOrphan();
      await rm(folder, { recursive: true, force: true });
    });
  }

  /** Replaces the lines besides the base; LXC reads them at the next start. */
  async configure(config: readonly string[]): Promise<void> {
    await writeFile(this.configFile, [...baseConfig(this.name, this.rootfs), ...config, ''].join('\n'));
  }

  /** Returns when LXC says RUNNING; throws with LXC's own log when it doesn't start. */
  async start(): Promise<void> {
    await this.#leave();
    try {
      await this.#lxc('lxc-start', '-d', '-l', 'INFO', '-o', this.#logFile);
    } catch (cause) {
      throw new Error(`container ${this.name}: did not start\n${await tailOf(this.#logFile)}`, { cause });
    }
    await this.#enter();
  }

  /** Ends init by SIGPWR; `kill` by SIGKILL. Returns when it is STOPPED. */
  async stop(how: 'shutdown' | 'kill' = 'shutdown'): Promise<void> {
    await this.#leave();
    await this.#lxc('lxc-stop', ...(how === 'kill' ? ['-k'] : ['-t', '10']));
  }

  /** Returns when the next init runs. */
  async reboot(): Promise<void> {
    const { pid } = await this.#enter();
    await this.#leave();
    await eventually(`container ${this.name}: init hears`, () => catches(pid, SIGINT));
    await this.#lxc('lxc-stop', '-r');
    await eventually(`container ${this.name} runs again`, async () => {
      const info = await this.#info();
      return info.get('State') === 'RUNNING' && Number(info.get('PID')) !== pid;
    });
    await this.#enter();
  }

  /** SIGKILL to LXC's own process, which then tells nobody of the container's end. */
  async killMonitor(): Promise<void> {
    const { pid } = await this.#enter();
    const monitor = parentOf(pid);
    if (monitor === undefined || monitor <= 1) throw new Error(`container ${this.name}: init ${pid} has no monitor`);
    await this.#leave();
    this.#orphan = pid;
    await killAndWait(monitor);
  }

  /** Ends the init that `killMonitor` left; LXC can start the container again. */
  async endOrphan(): Promise<void> {
    if (this.#orphan !== undefined) await killAndWait(this.#orphan);
    this.#orphan = undefined;
  }

  /** As `lxc-info` says it, such as `RUNNING`. */
  async state(): Promise<string> {
    return (await this.#info()).get('State') ?? 'UNKNOWN';
  }

  /** Of init, as the host counts. */
  async pid(): Promise<number> {
    return (await this.#enter()).pid;
  }

  /** The name of the host's end of the first veth. */
  async hostVeth(): Promise<string> {
    const link = (await this.#info()).get('Link');
    if (link === undefined) throw new Error(`container ${this.name}: has no veth`);
    return link;
  }

  /** Runs a command of its root folder inside all its namespaces. */
  async exec(command: string, args: readonly string[] = []): Promise<RunResult> {
    const { pid } = await this.#enter();
    // Five times faster than lxc-attach.
    return await this.#host.run('nsenter', ['-t', `${pid}`, '-m', '-u', '-i', '-n', '-p', '--', command, ...args]);
  }

  /** Its network namespace with this machine's programs in reach: what a hostile root could do. Ends with each stop. */
  async inside(): Promise<Place> {
    return (await this.#enter()).place;
  }

  #lxc(tool: string, ...args: readonly string[]): Promise<RunResult> {
    return this.#host.run(tool, ['-P', this.lxcPath, '-n', this.name, ...args]);
  }

  async #info(): Promise<ReadonlyMap<string, string>> {
    return parseInfo((await this.#lxc('lxc-info')).stdout);
  }

  async #enter(): Promise<Run> {
    if (this.#run !== undefined) return this.#run;
    const pid = Number((await this.#info()).get('PID'));
    if (!Number.isInteger(pid)) throw new Error(`container ${this.name}: does not run`);
    const place = createPlace(this.name, ['nsenter', '-t', String(pid), '-n', '--']);
    this.#run = { pid, place };
    await finishDad(place);
    return this.#run;
  }

  async #leave(): Promise<void> {
    const run = this.#run;
    this.#run = undefined;
    await run?.place.close();
  }
}

const baseConfig = (name: string, rootfs: string): string[] => [
  // A host name has no odd letters, whatever LXC's name for the container has.
  `lxc.uts.name = ${name.replace(/[^A-Za-z0-9-]/g, '-')}`,
  `lxc.rootfs.path = dir:${rootfs}`,
  'lxc.init.cmd = /sbin/init',
  'lxc.mount.auto = proc:mixed',
  'lxc.apparmor.profile = unconfined',
  'lxc.tty.max = 0',
  // Each probe's refusal shall be told, not only the first few of a second.
  'lxc.sysctl.net.ipv4.icmp_ratelimit = 0',
  'lxc.sysctl.net.ipv6.icmp.ratelimit = 0',
];

/**
 * Makes the IPv6 addresses usable now: duplicate address detection takes one or two seconds. The container may put its
 * addresses there anew at the same moment, so one that is gone is looked for again.
 */
export async function finishDad(place: Place): Promise<void> {
  await eventually(`the addresses of ${place.label} are usable`, async () => {
    const { stdout } = await place.run('ip', ['-6', '-o', 'address', 'show', 'scope', 'global', 'tentative']);
    const lines = [...stdout.matchAll(/^\d+: (\S+) +inet6 (\S+)/gm)].flatMap(([, dev, address]) => [
      `address del ${address} dev ${dev}`,
      `address replace ${address} dev ${dev} nodad`,
    ]);
    if (lines.length === 0) return true;
    const { exitCode } = await place.runForResult('ip', ['-force', '-batch', '-'], { input: `${lines.join('\n')}\n` });
    return exitCode === 0;
  });
}

async function killAndWait(pid: number): Promise<void> {
  kill(pid);
  await eventually(`process ${pid} ends`, () => !isAlive(pid));
}

async function tailOf(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => `no log: ${String(error)}`);
  return text.trimEnd().split('\n').slice(-15).join('\n');
}
