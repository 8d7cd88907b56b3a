/** Lists the containers below an LXC path. */
import { lstatSync, opendirSync, statSync } from 'node:fs';
import { errorCode } from '../error-code.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Names of the folders that hold a `config`, sorted; links are followed, names with a leading dot left out, as LXC
 * does. A name may hold any character but `/`; one that is no UTF-8 can't be named in a policy either and is left out.
 * A missing LXC path has no containers; one that can't be read throws.
 */
export function readLxcTree(lxcPath: string): string[] {
  return readLxcNames(lxcPath)
    .filter((name) => hasConfig(lxcPath, name))
    .sort();
}

/** The same, whatever is in them. */
export const readLxcNames = (lxcPath: string): string[] => readNames(lxcPath).filter((name) => !name.startsWith('.'));

function readNames(lxcPath: string): string[] {
  let folder: ReturnType<typeof opendirSync>;
  try {
    // latin1 keeps every byte, which the decoding below needs.
    folder = opendirSync(lxcPath, { encoding: 'latin1' });
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') return [];
    throw new Error(`reading ${lxcPath}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  const names: string[] = [];
  try {
    for (let entry = folder.readSync(); entry !== null; entry = folder.readSync()) {
      const name = decode(entry.name);
      if (name !== undefined) names.push(name);
    }
  } finally {
    folder.closeSync();
  }
  return names;
}

function decode(latin1: string): string | undefined {
  try {
    return utf8.decode(Buffer.from(latin1, 'latin1'));
  } catch {
    // The one thing that a fatal decoder throws for: not UTF-8.
    return undefined;
  }
}

/**
 * Whether there is something that LXC would take for the container's configuration. What is no file (a FIFO, a link to
 * nowhere), or can't even be looked at, is one too: passed over in silence, the container would be shut for no reason told.
 */
export function hasConfig(lxcPath: string, name: string): boolean {
  try {
    const config = `${lxcPath}/${name}/config`;
    const entry = lstatSync(config);
    return entry.isSymbolicLink() ? !isFolder(config) : !entry.isDirectory();
  } catch (cause) {
    // A folder that vanishes meanwhile, a file in its place, a link in circles, a name too long to go on with.
    return !['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG'].includes(errorCode(cause));
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    // A link to nowhere, or in circles.
    return false;
  }
}
