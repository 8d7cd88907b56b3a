/** Containers of a Debian host: its own LXC runs them, beside its own systemd. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { finishDad } from './container.ts';
import { type DebianHost, SHARED } from './debian-host.ts';
import { eventually } from './eventually.ts';
import { parseInfo } from './lxc-info.ts';
import { createPlace, type Place } from './place.ts';
import { makeRootfs } from './rootfs.ts';
import { parentOf } from './sweep.ts';

export interface DebianContainerOptions {
  readonly name: string;
  /** Lines of LXC configuration besides the base, such as `lxc.net.0.type = veth`. */
  readonly config: readonly string[];
  /** Shell commands that init runs in the background before anything else. */
  readonly command?: string;
}

export const LXC_PATH = '/var/lib/lxc';

/** Makes the folder in the host's LXC path; the host runs, the container doesn't yet. Goes with the host. */
export async function createDebianContainer(
  host: DebianHost,
  { name, config, command = '' }: DebianContainerOptions,
): Promise<DebianContainer> {
  const [made, folder] = [join(host.shared, `rootfs-${name}`), `${LXC_PATH}/${name}`];
  await makeRootfs(made, { command });
  await host.system.run('mkdir', ['-p', folder]);
  await host.system.run('cp', ['-a', `${SHARED}/rootfs-${name}`, `${folder}/rootfs`]);
  await rm(made, { recursive: true });
  const container = new DebianContainer(host, name);
  await container.configure(config);
  return container;
}

export class DebianContainer {
  readonly name: string;
  readonly #host: DebianHost;

  constructor(host: DebianHost, name: string) {
    this.#host = host;
    this.name = name;
  }

  async configure(config: readonly string[]): Promise<void> {
    const base = [
      `lxc.uts.name = ${this.name}`,
      `lxc.rootfs.path = dir:${LXC_PATH}/${this.name}/rootfs`,
      'lxc.init.cmd = /sbin/init',
      'lxc.mount.auto = proc:mixed',
      'lxc.apparmor.profile = unconfined',
      'lxc.tty.max = 0',
      'lxc.sysctl.net.ipv4.icmp_ratelimit = 0',
      'lxc.sysctl.net.ipv6.icmp.ratelimit = 0',
    ];
    await this.#host.write(`${LXC_PATH}/${this.name}/config`, [...base, ...config, ''].join('\n'));
  }

  /** `by` the command line, or by systemd's `lxc@NAME.service`. Throws with LXC's log when it doesn't start. */
  async start(by: 'lxc-start' | 'lxc@.service' = 'lxc-start'): Promise<void> {
    const log = `/tmp/${this.name}.log`;
    const { system } = this.#host;
    const { exitCode, stdout, stderr } =
      by === 'lxc-start'
        ? await system.runForResult('lxc-start', ['-n', this.name, '-d', '-l', 'INFO', '-o', log])
        : await system.runForResult('systemctl', ['start', `lxc@${this.name}.service`]);
    if (exitCode === 0) return await this.waitFor('RUNNING');
    const said = await system.runForResult('tail', ['-n', '30', log]);
    throw new Error(`container ${this.name}: did not start\n${stdout}\n${stderr}\n${said.stdout}`);
  }

  async stop(by: 'lxc-stop' | 'lxc@.service' = 'lxc-stop'): Promise<void> {
    const { system } = this.#host;
    if (by === 'lxc-stop') await system.run('lxc-stop', ['-n', this.name, '-t', '10']);
    else await system.run('systemctl', ['stop', `lxc@${this.name}.service`]);
    await this.waitFor('STOPPED');
  }

  async waitFor(state: 'RUNNING' | 'STOPPED'): Promise<void> {
    await eventually(
      `container ${this.name} is ${state}`,
      async () => (await this.#info()).get('State') === state,
      20_000,
    );
  }

  async hostVeth(): Promise<string> {
    const link = (await this.#info()).get('Link');
    if (link === undefined) throw new Error(`container ${this.name}: has no veth`);
    return link;
  }

  /** Its network namespace with this machine's programs in reach. Ends with the container. */
  async inside(): Promise<Place> {
    const inner = Number((await this.#info()).get('PID'));
    const outer = findProcess(await this.#host.pid(), inner);
    const place = createPlace(this.name, ['nsenter', '-t', `${outer}`, '-n', '--']);
    await finishDad(place);
    return place;
  }

  async #info(): Promise<ReadonlyMap<string, string>> {
    return parseInfo((await this.#host.system.run('lxc-info', ['-n', this.name])).stdout);
  }
}

/** This machine's number of the process that the host with that init calls `inner`. */
function findProcess(hostInit: number, inner: number): number {
  const level = numbersOf('self').length;
  const found = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && numbersOf(name)[level] === inner)
    .map(Number)
    .find((pid) => hasAncestor(pid, hostInit));
  if (found === undefined) throw new Error(`process ${inner} below ${hostInit}: not found`);
  return found;
}

/** A process's numbers in each process namespace, the outermost first; none when it is gone. */
function numbersOf(pid: string): number[] {
  const file = `/proc/${pid}/status`;
  const text = existsSync(file) ? readIfAlive(file) : '';
  return (/^NSpid:\s+(.*)$/m.exec(text)?.[1] ?? '').split(/\s+/).filter(Boolean).map(Number);
}

function readIfAlive(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // It ended since it was listed.
    return '';
  }
}

function hasAncestor(pid: number, ancestor: number): boolean {
  const parent = parentOf(pid);
  if (parent === undefined || parent === 0) return false;
  return parent === ancestor || hasAncestor(parent, ancestor);
}
