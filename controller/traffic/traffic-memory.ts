/** Remembers that tc was written to, so that hosts that use none of it are never asked, and leftovers are found all the same. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export interface TrafficMemory {
  isMarked(): Promise<boolean>;
  mark(): Promise<void>;
  unmark(): Promise<void>;
}

/** In the run folder, which is as new with each boot as what tc holds. */
export function openTrafficMemory(runDirectory: string): TrafficMemory {
  const file = join(runDirectory, 'traffic-control');
  let known: boolean | undefined;
  return {
    async isMarked() {
      known ??= (await readFile(file, 'utf8').catch(() => undefined)) !== undefined;
      return known;
    },
    async mark() {
      if (known === true) return;
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, 'tc holds limits or wires of routewall\n');
      known = true;
    },
    async unmark() {
      await rm(file, { force: true });
      known = false;
    },
  };
}
