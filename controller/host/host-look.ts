/** Whether files, leases and what runs are as they were read, found out while passes go on. */
import type { HostConfig } from '../../policies/config.ts';
import type { InterfaceName } from '../../render/names.ts';
import { readRunningContainers } from '../../watchers/running-containers.ts';
import type { BridgedReader } from '../bridged/bridged-reader.ts';
import { inTurns, mapInTurns, type Turn } from '../in-turns.ts';
import { claimedNics, hasNamedLink, linkExists, needsNoAnswer } from './container-runtime.ts';
import { containerId } from './containers.ts';
import type { ContainerRef, KnownContainer, KnownContainers } from './known-containers.ts';
import type { PolicyFolder } from './policy-folder.ts';

export interface HostLookOptions {
  readonly config: HostConfig;
  readonly folder: PolicyFolder;
  readonly containers: KnownContainers;
  readonly bridged: BridgedReader;
  /** On which a NIC has no static address. */
  readonly bridges: readonly InterfaceName[];
  readonly turn: Turn;
  /** What runs of this container differs from what is known. */
  readonly onLate?: (container: ContainerRef) => void;
  readonly onLateLeases?: () => void;
}

/** `false` where a file differs; of leases and of what runs, each difference is told. @throws Error where a file can't be read */
export async function isHostAsRead(options: HostLookOptions): Promise<boolean> {
  const { folder, containers, bridged, bridges, turn, onLateLeases } = options;
  const isSame = (await folder.isAsRead(turn)) && (await inTurns(containers.isTreeAsRead(), turn));
  if (!isSame) return false;
  if (!(await bridged.areLeasesKnown(bridges))) onLateLeases?.();
  await tellOfRunning(options);
  return true;
}

async function tellOfRunning({ config, containers, bridged, turn, onLate }: HostLookOptions): Promise<void> {
  const known = [...containers.byId.values()];
  const running = await readRunningContainers(config.lxcPaths, known);
  const ids = new Set(running.map(({ lxcPath, name }) => containerId(lxcPath, name)));
  await mapInTurns(
    known,
    (one) => {
      const { container, runtime } = one;
      if (!runsAsKnown(one, ids.has(container.id), containers.isAmbiguous) || !bridged.hasMacs(container, runtime))
        onLate?.(one);
    },
    turn,
  );
}

/** Whether a reading would come to the same. `isListening`: to LXC's commands, as what runs does. */
function runsAsKnown(
  { container, runtime }: KnownContainer,
  isListening: boolean,
  isAmbiguous: KnownContainers['isAmbiguous'],
): boolean {
  const nics = claimedNics(container);
  const isLive = isListening || runtime.veths.size > 0 || hasNamedLink(container, isAmbiguous);
  if (!isLive || nics.length === 0) return (runtime.state !== 'STOPPED') === isLive;
  return needsNoAnswer(container, runtime) && [...runtime.veths.values()].every(linkExists);
}
