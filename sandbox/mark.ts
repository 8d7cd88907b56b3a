/** The mark by which this process's namespaces, folders and child processes are known, also after it crashed. */

/** Names of network namespaces and temporary folders begin with it. */
export const prefixOfProcess = (pid: number): string => `rw${pid}-`;

export const ownPrefix = prefixOfProcess(process.pid);

/** The environment variable that each child process carries. */
export const MARK = 'ROUTEWALL_SANDBOX';

/** The process id in such a name. */
export function processOfName(name: string): number | undefined {
  const found = /^rw(\d+)-/.exec(name);
  return found === null ? undefined : Number(found[1]);
}

/** What a child process gets: no settings that slow down or alter a Node process. */
export function childEnvironment(): Record<string, string> {
  const env: Record<string, string> = { [MARK]: ownPrefix };
  for (const [key, value] of Object.entries(process.env)) {
    if (value !== undefined && !/^(NODE_|VITEST|FORCE_COLOR)/.test(key)) env[key] = value;
  }
  return env;
}
