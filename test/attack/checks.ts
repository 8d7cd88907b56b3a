/** Is everything as it must be? By the kernel, by routewall's own comparison, by everything foreign, and by the packets. */
import { eventually } from '../../sandbox/eventually.ts';
import { fieldOf } from '../../sandbox/json.ts';
import { containerState, expectedState, readForeign, readOwnState } from '../lxc/kernel-state.ts';
import { expectedOf, type World } from './world.ts';

const PATIENCE_MS = 15_000;

/** @returns the milliseconds until the kernel held what it must. @throws Error when it never does, or anything else is wrong. */
export async function settle(world: World, patience = PATIENCE_MS): Promise<number> {
  await Promise.all(world.pending.splice(0));
  const begin = performance.now();
  const { bed } = world.routewall;
  const wanted = JSON.stringify(expectedState(await expectedOf(world)));
  let found = '';
  const isRight = async (): Promise<boolean> => {
    found = JSON.stringify(containerState(await readOwnState(bed.host)));
    return found === wanted;
  };
  await eventually('the state', isRight, patience).catch(() => {
    throw new Error(`the kernel holds\n${found}\nand should hold\n${wanted}`);
  });
  const took = performance.now() - begin;
  // The rules themselves, by routewall's own comparison of files and kernel.
  let preview: unknown;
  const isInForce = async (): Promise<boolean> => {
    preview = await readPreview(world);
    return fieldOf(preview, 'changed') === false;
  };
  await eventually('no difference', isInForce, patience).catch((cause: unknown) => {
    throw new Error(`files and kernel differ: ${String(cause)}\n${JSON.stringify(preview, null, 1)}`);
  });
  await eventually('the bus knows the daemon', async () => (await world.bus.call('List')) !== '', PATIENCE_MS);
  // An uplink that came back has the kernel's own routes of its addresses only after the work of others is done.
  const isAsBefore = async (): Promise<boolean> => (await readForeign(bed.host)) === world.foreign;
  await eventually('foreign state is as before', isAsBefore, 30_000).catch(() => undefined);
  const foreign = await readForeign(bed.host);
  if (foreign !== world.foreign) throw new Error(`foreign state changed:\n${firstDifference(world.foreign, foreign)}`);
  checkTraffic(world);
  return took;
}

async function readPreview({ routewall }: World): Promise<unknown> {
  const { stdout, stderr } = await routewall.cliAlone('preview', '--json');
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout);
}

/** @throws Error when a packet came out, or didn't arrive, that no fault excuses. */
export function checkTraffic(world: World): void {
  const mishaps = world.traffic.unexcused();
  const [first] = mishaps;
  if (first !== undefined) throw new Error(`${mishaps.length} packets ${first.kind}: ${first.text}`);
}

function firstDifference(before: string, after: string): string {
  const [a, b] = [before.split('\n'), after.split('\n')];
  const at = a.findIndex((line, index) => line !== b[index]);
  return `- ${a.slice(at, at + 3).join('\n- ')}\n+ ${b.slice(at, at + 3).join('\n+ ')}`;
}
