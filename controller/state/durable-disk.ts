/** Writes that survive a crash: what has its final name is on the disk, whole. */
import { link, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Each call is one step that a crash can come before or after; a test makes it fail there. */
export interface DurableDisk {
  makeFolder(path: string): Promise<void>;
  /** On the disk when it returns; the name is only after `syncFolder`. */
  write(path: string, content: string | Uint8Array): Promise<void>;
  /** The same content under a second name. */
  link(existing: string, path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  syncFolder(path: string): Promise<void>;
  /** With all that is in it; nothing where it isn't there. */
  remove(path: string): Promise<void>;
}

export const realDisk: DurableDisk = {
  makeFolder: async (path) => void (await mkdir(path, { recursive: true, mode: 0o700 })),
  write: async (path, content) => {
    const handle = await open(path, 'w', 0o600);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  link,
  rename,
  syncFolder: async (path) => {
    const handle = await open(path, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  remove: (path) => rm(path, { recursive: true, force: true }),
};

/** A crash leaves the old file or the new one, whole; a disk that is full is left no fuller. */
export async function replaceFile(disk: DurableDisk, file: string, text: string): Promise<void> {
  const temporary = `${file}.new`;
  try {
    await disk.write(temporary, text);
    await disk.rename(temporary, file);
  } catch (cause) {
    await disk.remove(temporary).catch(() => undefined);
    throw cause;
  }
  await disk.syncFolder(dirname(file));
}
