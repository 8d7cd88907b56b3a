/** Whether files, leases and what runs are as they were read, found out while passes go on. */
import type { HostConfig } from '../../policies/config.ts';
import type { InterfaceName } from '../../render/names.ts';
import type { BridgedReader } from '../bridged/bridged-reader.ts';
import { inTurns, mapInTurns, type Turn } from '../in-turns.ts';
import { claimedNics, linkExists, needsNoAnswer } from './container-runtime.ts';
import type { ContainerRef, KnownContainer, KnownContainers } from './known-containers.ts';
import { isLive, listeningIds } from './live-containers.ts';
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
  const listening = await listeningIds(config.lxcPaths, known);
  await mapInTurns(
    known,
    (one) => {
      const { container, runtime } = one;
      if (!runsAsKnown(one, isLive(one, listening, containers.isAmbiguous)) || !bridged.hasMacs(container, runtime))
        onLate?.(one);
    },
    turn,
  );
}

/** Whether a reading would come to the same. */
function runsAsKnown({ container, runtime }: KnownContainer, mayRun: boolean): boolean {
  const nics = claimedNics(container);
  if (!mayRun || nics.length === 0) return (runtime.state !== 'STOPPED') === mayRun;
  return needsNoAnswer(container, runtime) && [...runtime.veths.values()].every(linkExists);
}
