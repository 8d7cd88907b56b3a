/** Has one of the daemon's perl programs do something else. */
import { kill } from '../../sandbox/sweep.ts';
import { childrenOf, commandOf } from '../attack/processes.ts';
import type { Misbehaviour, Tools } from '../attack/tools.ts';
import type { Routewall } from './routewall.ts';

/** Asks a container's monitor what it says; a shell pattern. */
export const ASKS_MONITOR = '*lxc.net.*';
/** Lists the addresses of all links. */
export const LISTS_ADDRESSES = '*inet_ntop??family,??address*';

/** Lists our routes of one family. */
export const LISTS_ROUTES = '*route?show*';

/** Whoever runs them. */
export async function misbehave(tools: Tools, daemon: Routewall['daemon'], mode: Misbehaviour): Promise<void> {
  await tools.setPerl(mode);
  for (const pid of childrenOf(daemon.child().pid)) if (commandOf(pid).includes('starts commands')) kill(pid);
}
