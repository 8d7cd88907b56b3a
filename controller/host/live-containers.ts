/** Which containers may run, as far as can be told without asking LXC about each. */
import { readRunningContainers } from '../../watchers/running-containers.ts';
import { hasNamedLink, type LinkExists } from './container-runtime.ts';
import { containerId } from './containers.ts';
import type { KnownContainer, KnownContainers } from './known-containers.ts';

/** Ids of those that listen to LXC's commands, as what runs does. */
export async function listeningIds(
  lxcPaths: readonly string[],
  known: Iterable<KnownContainer>,
): Promise<ReadonlySet<string>> {
  const running = await readRunningContainers(lxcPaths, known);
  return new Set(running.map(({ lxcPath, name }) => containerId(lxcPath, name)));
}

/** A link with a name that a configuration fixes tells of a container too, as it does when its event comes. */
export const isLive = (
  { container, runtime }: KnownContainer,
  listening: ReadonlySet<string>,
  isAmbiguous: KnownContainers['isAmbiguous'],
  exists?: LinkExists,
): boolean => listening.has(container.id) || runtime.veths.size > 0 || hasNamedLink(container, isAmbiguous, exists);
