/** `npm start`: a host, a world outside, real containers and the real daemon, in namespaces that vanish at the end. */
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { cleanUp } from './clean-up.ts';
import type { Daemon } from './daemon.ts';
import { readForeignState } from './end-state.ts';
import { tell, tellStep } from './narrate.ts';
import { runOnThisMachine } from './on-this-machine.ts';
import { commandOf, PROGRAM } from './routewall.ts';
import { buildScene, type Scene, startRealDaemon } from './scene.ts';
import { check, editPolicy, startContainers, stopAll, stopOne, tryConnections, trySpoofing } from './story.ts';

const USAGE = `usage: npm start                 a sandbox: shows what routewall does, and leaves nothing behind
       npm start -- --keep       leaves the sandbox up until Ctrl-C
       npm start -- --host       runs the daemon on this machine itself, after asking`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { keep: { type: 'boolean' }, host: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help === true) {
    tell(USAGE);
    return 0;
  }
  if (process.getuid?.() !== 0) {
    console.error('namespaces and containers need root: run sudo npm start');
    return 1;
  }
  if (!existsSync(PROGRAM)) {
    console.error(`${PROGRAM}: not built yet: run npm run build`);
    return 1;
  }
  if (values.host === true) return await runOnThisMachine();
  try {
    return await runSandbox(values.keep === true);
  } finally {
    await cleanUp();
  }
}

async function runSandbox(keep: boolean): Promise<number> {
  tellStep('A host with an uplink, the world outside, and four containers, all in namespaces of their own');
  const scene = await buildScene();
  tell(`host 192.0.2.1 and 2001:db8:0:1::1, beyond it 203.0.113.80; policies in ${scene.installation.policies}`);
  const before = await readForeignState(scene.bed.host);
  const daemon = await startRealDaemon(scene);
  tell(`the daemon runs as process ${daemon.child().pid}; what it does not know gets nothing`);
  try {
    return await tellStory(scene, { daemon, before, keep });
  } catch (error) {
    tell(`the daemon's log:\n${daemon.log().slice(-30).join('\n')}`);
    throw error;
  }
}

async function tellStory(
  scene: Scene,
  { daemon, before, keep }: { readonly daemon: Daemon; readonly before: string; readonly keep: boolean },
): Promise<number> {
  await startContainers(scene, daemon);
  let wrong = await tryConnections(scene);
  if (keep) return await keepUp(scene, wrong);
  for (const step of [trySpoofing, editPolicy, stopOne, stopAll]) wrong += await step(scene);
  await daemon.stop();
  const after = await readForeignState(scene.bed.host);
  if (after !== before) tell(`before:\n${before}\nafter:\n${after}`);
  wrong += check([['all that is not routewall’s is as it was before', after === before]]);
  tellStep(wrong === 0 ? 'Every connection went as explained, and nothing is left' : `${wrong} checks failed`);
  return wrong === 0 ? 0 : 1;
}

/** Until Ctrl-C, whose handler cleans up. */
async function keepUp({ bed, containers, installation }: Scene, wrong: number): Promise<number> {
  const enter = `ip netns exec ${bed.host.name}`;
  const env = Object.entries(installation.env).map(([key, value]) => `${key}=${value}`);
  const routewall = `${enter} env ${env.join(' ')} node`;
  const line = (word: string): string => `  ${routewall} ${commandOf(installation, [word]).join(' ')}`;
  tellStep('Left up; look around from another terminal');
  tell(`the host       ${enter} bash`);
  tell(`the outside    ip netns exec ${bed.outside.name} bash`);
  tell(`a container    ${enter} lxc-attach -P ${bed.lxcPath} -n web -- /bin/sh`);
  tell(`its network    nsenter -t ${await containers.web.pid()} -n bash`);
  tell(`the ruleset    ${enter} nft list table inet routewall`);
  tell(`the policies   ${installation.policies}/containers (edit one and see)`);
  tell(`the commands\n${['list', 'status', 'preview'].map(line).join('\n')}`);
  tell('Ctrl-C ends it and removes everything.');
  await new Promise(() => setInterval(() => undefined, 60_000));
  return wrong;
}

/** An error with all its causes. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}\n  because: ${describe(error.cause)}`;
}

main().then(
  (exitCode) => {
    process.exitCode = exitCode;
  },
  (error: unknown) => {
    console.error(describe(error));
    process.exitCode = 1;
  },
);
