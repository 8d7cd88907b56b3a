/** Containers that run from LXC paths which routewall isn't told of: nothing is read of them, and nothing in force for them. */
import { access } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { plainLxcPath } from '../../watchers/lxc-socket-names.ts';
import { parseUnixSockets, readProcFile } from '../../watchers/proc-sockets.ts';

export interface Elsewhere {
  readonly container: string;
  readonly lxcPath: string;
}

/** Any user can bind many such names. */
const MOST = 20;

/** Sorted by path and name. In this network namespace, by LXC's command sockets; a name without a configuration is none of LXC's. */
export async function readElsewhere(lxcPaths: readonly string[]): Promise<Elsewhere[]> {
  const known = lxcPaths.map(plainLxcPath);
  const names = parseUnixSockets(await readProcFile('/proc/self/net/unix'))
    .filter(({ listening }) => listening)
    // What is shown must be one line, whoever chose it.
    .flatMap(({ abstractName }) => /^(\/[ -~]+)\/command$/.exec(abstractName)?.[1] ?? [])
    .filter((folder) => !known.includes(dirname(folder)));
  const found: Elsewhere[] = [];
  for (const folder of [...new Set(names)].sort()) {
    if (found.length === MOST) break;
    const isThere = await access(join(folder, 'config')).then(
      () => true,
      // A user's own folder is closed to others, and no less a container's.
      (cause: unknown) => cause instanceof Error && 'code' in cause && cause.code === 'EACCES',
    );
    if (isThere) found.push({ container: folder.slice(dirname(folder).length + 1), lxcPath: dirname(folder) });
  }
  return found;
}
