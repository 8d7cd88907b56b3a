/** Network namespaces with names of this process's own. */
import { atEnd } from './clean-up.ts';
import { eventually } from './eventually.ts';
import { ownPrefix } from './mark.ts';
import { createPlace, type Place } from './place.ts';
import { run } from './run.ts';
import { kill } from './sweep.ts';

export interface Namespace extends Place {
  /** As `ip netns` knows it. */
  readonly name: string;
  /** Ends every process in it, then the namespace itself. */
  destroy(): Promise<void>;
}

let made = 0;

/** `lo` is up in it. Goes at the latest by `cleanUp()`. */
export async function createNamespace(label: string): Promise<Namespace> {
  made += 1;
  const name = `${ownPrefix}${label}${made}`;
  const place = createPlace(label, ['ip', 'netns', 'exec', name]);
  const destroy = atEnd(`delete namespace ${name}`, async () => {
    await place.close();
    await killInside(name);
    await run('ip', ['netns', 'del', name]);
  });
  await run('ip', ['netns', 'add', name]);
  await run('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
  return { ...place, name, destroy };
}

/** What our children started there and left behind, such as lxc-monitord; nothing else can be in a namespace of ours. */
async function killInside(name: string): Promise<void> {
  let pids = await readPids(name);
  await eventually(`processes in ${name} end`, async () => {
    for (const pid of pids) kill(pid);
    pids = await readPids(name);
    return pids.length === 0;
  });
}

async function readPids(name: string): Promise<number[]> {
  const { stdout } = await run('ip', ['netns', 'pids', name]);
  return stdout.split('\n').filter(Boolean).map(Number);
}

/** Keys as below /proc/sys, with slashes: interface names may hold dots. */
export async function setSysctls(place: Place, sysctls: Readonly<Record<string, string>>): Promise<void> {
  const settings = Object.entries(sysctls).map(([key, value]) => `${key}=${value}`);
  if (settings.length > 0) await place.run('sysctl', ['-q', '-w', ...settings]);
}
