/** The sandbox's scene: a host with the real daemon, the world outside, and four real containers. */
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeFolder } from './clean-up.ts';
import { type Container, createContainer } from './container.ts';
import { type Daemon, startDaemon } from './daemon.ts';
import { eventually } from './eventually.ts';
import { createHost, type Host } from './host.ts';
import { commandOf, type Installation, isInForce, NODE } from './routewall.ts';
import { listen, type Port } from './services.ts';

export const FIXTURES = fileURLToPath(new URL('../fixtures/sandbox', import.meta.url));

/** Last parts of the addresses. `stray` has no policy. */
const CONTAINERS = { tinderbox: 10, web: 20, db: 30, stray: 40 } as const;
export type ContainerName = keyof typeof CONTAINERS;
export const containerNames: readonly ContainerName[] = ['tinderbox', 'web', 'db', 'stray'];

export interface Scene {
  readonly bed: Host;
  readonly containers: Readonly<Record<ContainerName, Container>>;
  readonly installation: Installation;
}

/** What listens where: enough that a refusal is always the policy's, never an absent service's. */
const SERVICES: Readonly<Record<'host' | 'outside' | 'container', readonly Port[]>> = {
  host: [tcp(22), tcp(873), tcp(3128), udp(53)],
  outside: [tcp(80), tcp(443), tcp(22), udp(53)],
  container: [tcp(22), tcp(80), tcp(443), tcp(5432)],
};

function tcp(port: number): Port {
  return { protocol: 'tcp', port };
}

function udp(port: number): Port {
  return { protocol: 'udp', port };
}

/** The web server's lie on the uplink's own network, so that the host has to answer its neighbours for them. */
export function addressOf(name: ContainerName, family: 4 | 6): string {
  const [network4, network6] = name === 'web' ? ['192.0.2', '2001:db8:0:1'] : ['198.51.100', '2001:db8:100:'];
  return family === 4 ? `${network4}.${CONTAINERS[name]}` : `${network6}::${CONTAINERS[name]}`.replace(':::', '::');
}

/** Namespaces, folders, configurations and somebody else's firewall rules; neither daemon nor container runs yet. */
export async function buildScene(): Promise<Scene> {
  const bed = await createHost();
  // Somebody else's table: it must be untouched at the end.
  const foreign = 'table inet somebody_else { chain input { type filter hook input priority 0; tcp dport 23 drop; }; }';
  await bed.host.run('nft', ['-f', '-'], { input: `${foreign}\n` });
  await listen(bed.host, ...SERVICES.host);
  await listen(bed.outside, ...SERVICES.outside);
  const make = (name: ContainerName): Promise<Container> =>
    createContainer({ host: bed.host, lxcPath: bed.lxcPath, name, config: renderNic(name) });
  const containers = {
    tinderbox: await make('tinderbox'),
    web: await make('web'),
    db: await make('db'),
    stray: await make('stray'),
  };
  return { bed, containers, installation: await installIn(bed) };
}

async function installIn({ host, lxcPath }: Host): Promise<Installation> {
  const folder = await makeFolder();
  const [policies, run, state, config] = ['policies', 'run', 'state', 'routewall.yaml'].map((name) =>
    join(folder, name),
  );
  if (policies === undefined || run === undefined || state === undefined || config === undefined)
    throw new Error('paths');
  for (const made of [run, state]) await mkdir(made);
  await cp(join(FIXTURES, 'containers'), join(policies, 'containers'), { recursive: true });
  await writeFile(config, `lxcPaths: [${lxcPath}]\nuplinks: [eth0]\n`);
  return { host, lxcPath, policies, config, env: { RUNTIME_DIRECTORY: run, STATE_DIRECTORY: state } };
}

const renderNic = (name: ContainerName): string[] => [
  'lxc.net.0.type = veth',
  'lxc.net.0.flags = up',
  'lxc.net.0.name = eth0',
  `lxc.net.0.ipv4.address = ${addressOf(name, 4)}/32`,
  'lxc.net.0.ipv4.gateway = 169.254.0.1',
  `lxc.net.0.ipv6.address = ${addressOf(name, 6)}/128`,
  'lxc.net.0.ipv6.gateway = fe80::1',
];

/** The real daemon, in force when it returns. */
export async function startRealDaemon({ installation }: Scene): Promise<Daemon> {
  const { host, env } = installation;
  const daemon = await startDaemon({ host, env, command: [NODE, ...commandOf(installation, ['daemon'])] });
  const died = daemon.child().exited.then(() => {
    throw new Error(`the daemon ended by itself; its log:\n${daemon.log().join('\n')}`);
  });
  await Promise.race([waitUntilInForce(installation), died]);
  // From here on its end is somebody's intention.
  died.catch(() => undefined);
  return daemon;
}

/** Starts the container and its services; returns when the kernel holds what its policy says. */
export async function startContainer({ containers, installation }: Scene, name: ContainerName): Promise<void> {
  await containers[name].start();
  await listen(await containers[name].inside(), ...SERVICES.container);
  await waitUntilInForce(installation);
}

/** Asks `routewall preview` until it finds nothing to change. */
export async function waitUntilInForce(installation: Installation): Promise<void> {
  await eventually('the kernel holds what the policies say', () => isInForce(installation), 20_000);
}
