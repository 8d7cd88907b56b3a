/** What `npm start` shows, step by step; each step tells how many of its checks failed. */
import { copyFile, cp } from 'node:fs/promises';
import { join } from 'node:path';
import { addressOfParty, attempt, tryAll } from './attempts.ts';
import { startCapture } from './capture.ts';
import type { Daemon } from './daemon.ts';
import { readLeftovers } from './end-state.ts';
import { eventually } from './eventually.ts';
import { tell, tellCheck, tellCommand, tellStep } from './narrate.ts';
import { runRoutewall } from './routewall.ts';
import {
  addressOf,
  type ContainerName,
  containerNames,
  FIXTURES,
  type Scene,
  startContainer,
  waitUntilInForce,
} from './scene.ts';
import { type Flow, openFlow, probe } from './services.ts';

const ATTEMPTS = [
  attempt('tinderbox', 'host', 'tcp/873'),
  attempt('tinderbox', 'host', 'tcp/3128', 6),
  attempt('tinderbox', 'host', 'tcp/22'),
  attempt('tinderbox', 'host', 'udp/53'),
  attempt('tinderbox', 'host', 'icmp/echo-request'),
  attempt('tinderbox', 'internet', 'tcp/443'),
  attempt('tinderbox', 'internet', 'tcp/443', 6),
  attempt('tinderbox', 'internet', 'udp/53'),
  attempt('tinderbox', 'web', 'tcp/80'),
  attempt('internet', 'web', 'tcp/443'),
  attempt('internet', 'web', 'tcp/443', 6),
  attempt('internet', 'web', 'icmp/echo-request'),
  attempt('internet', 'web', 'tcp/22'),
  attempt('host', 'web', 'tcp/22'),
  attempt('web', 'db', 'tcp/5432'),
  attempt('web', 'db', 'tcp/5432', 6),
  attempt('web', 'db', 'tcp/22'),
  attempt('web', 'internet', 'udp/53'),
  attempt('web', 'internet', 'tcp/80'),
  attempt('internet', 'db', 'tcp/5432'),
  attempt('host', 'db', 'tcp/5432'),
  attempt('db', 'internet', 'tcp/443'),
  attempt('stray', 'host', 'tcp/873'),
  attempt('stray', 'internet', 'tcp/80', 6),
  attempt('internet', 'stray', 'tcp/80'),
];

const AFTER_THE_EDIT = [
  attempt('tinderbox', 'host', 'tcp/3128'),
  attempt('tinderbox', 'internet', 'tcp/443'),
  attempt('tinderbox', 'internet', 'tcp/80'),
  attempt('web', 'db', 'tcp/5432'),
];

const AFTER_THE_STOP = [attempt('internet', 'db', 'tcp/5432'), attempt('tinderbox', 'host', 'tcp/873')];

export async function startContainers(scene: Scene, daemon: Daemon): Promise<void> {
  tellStep('Four containers start');
  for (const name of containerNames) {
    await startContainer(scene, name);
    // The daemon's own line: which interface, which addresses, and how long it took from LXC's event.
    tell(await daemon.waitForLog(new RegExp(`${name} .*enforced in`)).then((line) => line.replace(/^\S+ info: /, '')));
    for (const line of await readRouting(scene, name)) tell(`    ${line}`);
  }
  await show(scene, ['list']);
}

/** The container's routes and neighbour proxies, as ip shows them. */
async function readRouting({ bed, containers }: Scene, name: ContainerName): Promise<string[]> {
  const veth = await containers[name].hostVeth();
  const lines = async (...args: string[]): Promise<string[]> =>
    (await bed.host.run('ip', args)).stdout.split('\n').filter((line) => line.includes('proto 119'));
  const proxies = [...(await lines('-4', 'neigh', 'show', 'proxy')), ...(await lines('-6', 'neigh', 'show', 'proxy'))];
  return [
    ...(await lines('-4', 'route', 'show', 'dev', veth)).map((line) => `route ${line.trim()}`),
    ...(await lines('-6', 'route', 'show', 'dev', veth)).map((line) => `route ${line.trim()}`),
    ...proxies
      .filter((line) => [4, 6].some((family) => line.startsWith(`${addressOf(name, family === 4 ? 4 : 6)} `)))
      .map((line) => `neighbour ${line.trim()}`),
  ];
}

export async function tryConnections(scene: Scene): Promise<number> {
  tellStep('Real connections, and what `routewall explain` says of each');
  return await tryAll(scene, ATTEMPTS);
}

/** The tinderbox sends from the web server's address, which the database would answer. */
export async function trySpoofing(scene: Scene): Promise<number> {
  tellStep("The tinderbox takes the web server's address and calls the database");
  const { bed, containers } = scene;
  const source = addressOfParty('web', 4);
  const capture = await startCapture(bed.host, { device: await containers.db.hostVeth(), filter: 'tcp port 5432' });
  const inside = await containers.tinderbox.inside();
  await inside.run('ip', ['address', 'add', `${source}/32`, 'dev', 'eth0']);
  const outcome = await probe(inside, { protocol: 'tcp', to: addressOfParty('db', 4), port: 5432, source });
  await inside.run('ip', ['address', 'del', `${source}/32`, 'dev', 'eth0']);
  const { received } = await capture.stop();
  return check([
    [`${outcome}; ${received} of its packets came out at the database`, outcome === 'dropped' && received === 0],
  ]);
}

/** A stricter policy for the tinderbox: previewed from a draft, then put in place under open connections. */
export async function editPolicy(scene: Scene): Promise<number> {
  tellStep('A policy is edited: the tinderbox loses the proxy and gains one mirror');
  const { installation, bed, containers } = scene;
  const draft = `${installation.policies}-draft`;
  const edited = join(FIXTURES, 'tinderbox-edited.yaml');
  await cp(installation.policies, draft, { recursive: true });
  await copyFile(edited, join(draft, 'containers/tinderbox.yaml'));
  await show({ ...scene, installation: { ...installation, policies: draft } }, ['preview']);

  tellStep('The edit is saved, under two open connections');
  const proxy = await openFlow(await containers.tinderbox.inside(), {
    protocol: 'tcp',
    to: addressOfParty('host', 4),
    port: 3128,
  });
  const database = await openFlow(await containers.web.inside(), {
    protocol: 'tcp',
    to: addressOfParty('db', 4),
    port: 5432,
  });
  await copyFile(edited, join(installation.policies, 'containers/tinderbox.yaml'));
  await waitUntilInForce(installation);
  const [ended, stays] = [await isCut(proxy), (await database.beat(2_000)) === 'alive'];
  await Promise.all([proxy.release(), database.release()]);
  const wrong = check([
    ['the tinderbox’s open connection to the proxy is cut', ended],
    ['the web server’s open connection to the database goes on', stays],
    ['the other tables of this host are still there', await hasForeignTable(bed.host)],
  ]);
  return wrong + (await tryAll(scene, AFTER_THE_EDIT));
}

async function hasForeignTable(host: Scene['bed']['host']): Promise<boolean> {
  return (await host.run('nft', ['list', 'tables'])).stdout.includes('somebody_else');
}

/** The cut follows the new rules within moments; a connection that lives is asked again. */
async function isCut(flow: Flow): Promise<boolean> {
  return await eventually('the connection is cut', async () => (await flow.beat()) !== 'alive').catch(() => false);
}

export async function stopOne(scene: Scene): Promise<number> {
  tellStep('The web server stops');
  const { containers, installation, bed } = scene;
  const veth = await containers.web.hostVeth();
  await containers.web.stop();
  await waitUntilInForce(installation);
  // The database's policy still names the address, and the tinderbox's refused attempts at it are still counted.
  const left = async (): Promise<string[]> =>
    (await readLeftovers(bed.host)).filter(
      (line) => line.includes(veth) || (line.includes(addressOf('web', 4)) && !line.includes('"')),
    );
  const empty = await eventually('nothing is left', async () => (await left()).length === 0).catch(() => false);
  if (!empty) tell((await left()).join('\n'));
  const wrong = check([
    [`no route or proxy leads to ${addressOf('web', 4)}, and nothing names ${veth} any more`, empty],
  ]);
  return wrong + (await tryAll(scene, AFTER_THE_STOP));
}

export async function stopAll(scene: Scene): Promise<number> {
  tellStep('The other containers stop');
  const { containers, installation, bed } = scene;
  for (const name of containerNames) if (name !== 'web') await containers[name].stop();
  await waitUntilInForce(installation);
  await show(scene, ['status']);
  const none = async (): Promise<boolean> => (await readLeftovers(bed.host)).length === 0;
  const empty = await eventually('nothing is left', none).catch(() => false);
  if (!empty) tell((await readLeftovers(bed.host)).join('\n'));
  return check([['no route, neighbour proxy, set element or policy chain is left', empty]]);
}

/** Prints each claim; the number of those that don't hold. */
export function check(claims: readonly (readonly [string, boolean])[]): number {
  for (const [claim, holds] of claims) tellCheck(claim, holds);
  return claims.filter(([, holds]) => !holds).length;
}

async function show({ installation }: Pick<Scene, 'installation'>, words: readonly string[]): Promise<void> {
  const { stdout, stderr } = await runRoutewall(installation, words);
  tellCommand(`routewall ${words.join(' ')}`, `${stdout}${stderr === '' ? '' : `\n${stderr}`}`);
}
