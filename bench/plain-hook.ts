/** The hook as users have it: with its socket in itself, since `env`, by which tests name theirs, is a program more to start. */
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../sandbox/clean-up.ts';
import type { Routewall } from '../test/lxc/routewall.ts';

const SOCKET = '/run/routewall/control.sock';

/** @returns its path. */
export async function plainHook({ env }: Pick<Routewall, 'env'>): Promise<string> {
  const text = await readFile('packaging/hook/routewall-hook', 'utf8');
  if (!text.includes(`'${SOCKET}'`)) throw new Error(`the hook has no ${SOCKET}`);
  const path = join(await makeFolder(), 'routewall-hook');
  await writeFile(path, text.replaceAll(SOCKET, join(env['RUNTIME_DIRECTORY'] ?? '', 'control.sock')));
  await chmod(path, 0o755);
  return path;
}
