/** A bed with the real daemon: namespaces, policies written from strings, and containers added as a test goes. */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { makeFolder } from '../../sandbox/clean-up.ts';
import { type Container, createContainer } from '../../sandbox/container.ts';
import { type Daemon, startDaemon } from '../../sandbox/daemon.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { createHost, type Host, type HostOptions, makeLxcPath } from '../../sandbox/host.ts';
import { fileOptions, NODE, PROGRAM } from '../../sandbox/routewall.ts';
import type { RunResult } from '../../sandbox/run.ts';

export interface RoutewallOptions {
  readonly host?: HostOptions;
  /** By path below the policy folder: `containers/web.yaml`. */
  readonly policies?: Readonly<Record<string, string>>;
  /** Lines of routewall.yaml. */
  readonly config?: string;
  /** How many LXC paths there are; 1 by default. */
  readonly lxcPaths?: number;
  /** For the daemon and the command line; a bus's address, for example. */
  readonly env?: Readonly<Record<string, string>>;
  /** For the daemon alone. */
  readonly daemonEnv?: Readonly<Record<string, string>>;
  /** Done to the host before the daemon starts. */
  readonly prepare?: (bed: Host) => Promise<void>;
}

export interface ContainerSpec {
  /** Lines of LXC configuration; see `nic()`. */
  readonly lines: readonly string[];
  /** The text of its policy file, written before its configuration. */
  readonly policy?: string;
  /** Shell commands that init runs before anything else. */
  readonly command?: string;
  readonly lxcPath?: string;
}

export interface Routewall {
  readonly bed: Host;
  readonly daemon: Daemon;
  readonly lxcPaths: readonly string[];
  readonly policyFolder: string;
  readonly configFile: string;
  /** What LXC is to run for a hook of this daemon's. */
  readonly hook: string;
  /** RUNTIME_DIRECTORY and STATE_DIRECTORY, as systemd would set them. */
  readonly env: Readonly<Record<string, string>>;
  /** The command line that the user would type, with this bed's folders; throws for no exit status. */
  cli(...words: readonly string[]): Promise<RunResult>;
  /** What `cli` runs. */
  command(words: readonly string[]): readonly [string, ...string[]];
  /** The same where the daemon can't be asked. */
  cliAlone(...words: readonly string[]): Promise<RunResult>;
  /** What `routewall status` prints once it matches: its file is written a little behind what the log says. */
  statusTells(pattern: RegExp): Promise<string>;
  /** Makes it; nothing runs yet. */
  addContainer(name: string, spec: ContainerSpec): Promise<Container>;
  /** Starts it and waits until the daemon says that each of its NICs (1 by default) is enforced. */
  start(container: Container, nics?: number): Promise<void>;
  /** Stops it and waits until the daemon says that its NICs are removed. */
  stop(container: Container, how?: 'shutdown' | 'kill'): Promise<void>;
  /** `undefined` as the text removes the file. */
  writePolicy(path: string, text: string | undefined): Promise<void>;
  /** Waits for the daemon's word about the container, said after the mark; the present run's first line by default. */
  enforced(name: string, options?: { readonly nics?: number; readonly after?: number }): Promise<void>;
  /** How many lines the daemon's present run has said. */
  mark(): number;
}

const HOOK = resolve('packaging/hook/routewall-hook');

const escaped = (text: string): RegExp['source'] => text.replaceAll('\n', '\\n').replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** The daemon is ready when it returns. Everything goes with `cleanUp()`. */
export async function startRoutewall(options: RoutewallOptions = {}): Promise<Routewall> {
  const bed = await createHost(options.host);
  const lxcPaths = [bed.lxcPath];
  while (lxcPaths.length < (options.lxcPaths ?? 1)) lxcPaths.push(await makeLxcPath());
  const folder = await makeFolder();
  const [policyFolder, configFile] = [join(folder, 'policies'), join(folder, 'routewall.yaml')];
  const env = { RUNTIME_DIRECTORY: join(folder, 'run'), STATE_DIRECTORY: join(folder, 'state'), ...options.env };
  for (const made of [join(policyFolder, 'containers'), env.RUNTIME_DIRECTORY, env.STATE_DIRECTORY])
    await mkdir(made, { recursive: true });
  await writeFile(configFile, options.config ?? '');

  const writePolicy: Routewall['writePolicy'] = async (path, text) => {
    const file = join(policyFolder, path);
    if (text === undefined) return await rm(file);
    await mkdir(dirname(file), { recursive: true });
    // As editors do: a reader in between would find an empty file, and tell of it.
    await writeFile(`${dirname(file)}/.new`, text);
    await rename(`${dirname(file)}/.new`, file);
  };
  for (const [path, text] of Object.entries(options.policies ?? {})) await writePolicy(path, text);
  await options.prepare?.(bed);

  const commandOf = (words: readonly string[]): [string, ...string[]] => [
    NODE,
    PROGRAM,
    ...words,
    ...fileOptions(words, { config: configFile, policies: policyFolder, lxcPaths }),
  ];
  const daemon = await startDaemon({
    ...{ host: bed.host, command: commandOf(['daemon']), ready: / ready: / },
    env: { ...env, ...options.daemonEnv },
  });

  const said = async (pattern: RegExp, count: number, after: number): Promise<void> => {
    let next = after;
    for (let found = 0; found < count; found += 1) {
      await daemon.child().waitForLine(pattern, { after: next, timeout: 15_000 });
      next = daemon.child().lines.findIndex((line, index) => index >= next && pattern.test(line)) + 1;
    }
  };
  const mark = (): number => daemon.child().lines.length;
  const enforced: Routewall['enforced'] = (name, { nics = 1, after = 0 } = {}) =>
    said(new RegExp(` ${escaped(name)} \\S+ via .*: enforced in `), nics, after);

  const cli: Routewall['cli'] = async (...words) => {
    const [program, ...args] = commandOf(words);
    return await bed.host.runForResult(program, args, { env });
  };

  return {
    bed,
    daemon,
    lxcPaths,
    policyFolder,
    configFile,
    hook: `/usr/bin/env ROUTEWALL_SOCKET=${join(env.RUNTIME_DIRECTORY, 'control.sock')} ${HOOK}`,
    env,
    cli,
    statusTells: async (pattern) =>
      await eventually(`status tells ${pattern}`, async () => {
        const { stdout } = await cli('status');
        return pattern.test(stdout) && stdout;
      }),
    command: commandOf,
    cliAlone: async (...words) => {
      const [program, ...args] = commandOf(words);
      return await bed.host.runForResult(program, args, {
        env: { ...env, DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/nowhere' },
      });
    },
    addContainer: async (name, { lines, policy, command = '', lxcPath = bed.lxcPath }) => {
      if (policy !== undefined) await writePolicy(`containers/${name}.yaml`, policy);
      return await createContainer({ host: bed.host, lxcPath, name, config: lines, command });
    },
    start: async (container, nics = 1) => {
      const after = mark();
      await container.start();
      await enforced(container.name, { nics, after });
    },
    stop: async (container, how) => {
      const after = mark();
      await container.stop(how);
      await said(new RegExp(` ${escaped(container.name)} \\S+ via .*: removed in `), 1, after);
    },
    writePolicy,
    enforced,
    mark,
  };
}

/** A routed NIC's lines: addresses without prefix length, gateways by custom, and further keys (`veth.pair = x`). */
export function nic(
  addresses: readonly string[],
  { index = 0, extra = [] }: { readonly index?: number; readonly extra?: readonly string[] } = {},
): string[] {
  const key = `lxc.net.${index}`;
  const [v4, v6] = [false, true].map((six) => addresses.filter((address) => address.includes(':') === six));
  return [
    `${key}.type = veth`,
    `${key}.flags = up`,
    `${key}.name = eth${index}`,
    ...(v4 ?? []).map((address) => `${key}.ipv4.address = ${address}/32`),
    ...(v6 ?? []).map((address) => `${key}.ipv6.address = ${address}/128`),
    // Only one NIC can have the default route.
    ...(index === 0 && v4?.length !== 0 ? [`${key}.ipv4.gateway = 169.254.0.1`] : []),
    ...(index === 0 && v6?.length !== 0 ? [`${key}.ipv6.gateway = fe80::1`] : []),
    ...extra.map((line) => `${key}.${line}`),
  ];
}

/** Addresses of a container on the prefixes that the outside routes to the host. */
export const addressesOf = (last: number): readonly [string, string] => [`198.51.100.${last}`, `2001:db8:100::${last}`];

/** Passes everything, both ways. */
export const OPEN = 'egress: { default: allow }\ningress: { default: allow }\n';
