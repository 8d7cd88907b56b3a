/** How many containers have something in force. */
import type { DesiredState } from '../../render/desired.ts';
import { followNicsBy } from '../../render/followed-nics.ts';

const byContainer = followNicsBy(({ container }) => [container]);

/** Systemd, the bus and each pass ask for it. */
export const enforcedCount = (nics: DesiredState['nics']): number => byContainer({ nics }).size;
