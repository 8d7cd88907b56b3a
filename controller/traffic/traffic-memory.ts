/** Remembers that tc was written to, so that hosts that use none of it are never asked, and leftovers are found all the same. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type InterfaceName, parseInterfaceName } from '../../render/names.ts';
import { unlessLack } from '../state/lack.ts';

export interface TrafficMemory {
  isMarked(): Promise<boolean>;
  /** Interfaces of the host that we made promiscuous. */
  promiscuous(): Promise<ReadonlySet<InterfaceName>>;
  /** To be called before tc or an interface is touched. */
  mark(promiscuous: ReadonlySet<InterfaceName>): Promise<void>;
  unmark(): Promise<void>;
}

/** In the run folder, which is as new with each boot as what tc holds. A name in each line. */
export function openTrafficMemory(runDirectory: string): TrafficMemory {
  const file = join(runDirectory, 'traffic-control');
  let text: string | undefined;
  let isRead = false;
  const read = async (): Promise<string | undefined> => {
    if (!isRead) text = await readFile(file, 'utf8').catch(unlessLack(undefined));
    isRead = true;
    return text;
  };
  return {
    isMarked: async () => (await read()) !== undefined,
    promiscuous: async () => new Set((await read())?.split('\n').flatMap((name) => parseInterfaceName(name) ?? [])),
    async mark(promiscuous) {
      const wanted = [...promiscuous].map((name) => `${name}\n`).join('');
      if ((await read()) === wanted) return;
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, wanted);
      text = wanted;
    },
    async unmark() {
      await rm(file, { force: true });
      text = undefined;
    },
  };
}
