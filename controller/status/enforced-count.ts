/** How many containers have something in force. */
import type { DesiredState } from '../../render/desired.ts';
import { rememberLast } from '../remember.ts';

/** Systemd, the bus and each pass ask for it, mostly of the same state. */
export const enforcedCount = rememberLast(
  (nics: DesiredState['nics']): number => new Set([...nics.values()].map(({ container }) => container)).size,
);
