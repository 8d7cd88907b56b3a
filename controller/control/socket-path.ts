/** Where the daemon of a run directory takes orders. */
import { join } from 'node:path';

export const socketPath = (runDirectory: string): string => join(runDirectory, 'control.sock');
