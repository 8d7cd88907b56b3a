/** Asks lxc-info what LXC holds after loading a container's configuration. */
import { execa } from 'execa';
import { canonical, NIC_KEYS_TOLD } from './tell-as-lxc-info.ts';

const LXC_INFO = 'lxc-info';

export async function askLxcVersion(): Promise<string> {
  return (await execa(LXC_INFO, ['--version'])).stdout;
}

/** What LXC holds after loading, key by key; `undefined` where it refuses to load, or crashes on it. */
export async function askLxcInfo(
  lxcPath: string,
  name: string,
  cwd: string,
  indexes: readonly number[],
): Promise<Record<string, string[]> | undefined> {
  const keys = [
    'lxc.group',
    'lxc.uts.name',
    ...indexes.flatMap((i) => NIC_KEYS_TOLD.map((key) => `lxc.net.${i}.${key}`)),
  ];
  const options = keys.flatMap((key) => ['-c', key]);
  const run = await execa(LXC_INFO, ['-P', lxcPath, '-n', name, ...options], { cwd, reject: false, timeout: 10_000 });
  if (run.signal === 'SIGSEGV' || run.stderr.includes('Failed to load config')) return undefined;
  if (run.exitCode !== 0) throw new Error(`lxc-info on ${name}: ${run.stderr || run.message}`);
  return parseAnswer(run.stdout, keys);
}

/** `KEY = VALUE` lines; the further values of a list follow on lines of their own. */
function parseAnswer(text: string, keys: readonly string[]): Record<string, string[]> {
  const answer: Record<string, string[]> = {};
  let values: string[] = [];
  for (const line of text.split('\n')) {
    const at = line.indexOf(' =');
    const key = at < 0 ? undefined : keys.find((known) => known === line.slice(0, at));
    if (key !== undefined) answer[key] = values = [];
    values.push(key === undefined ? line : line.slice(at + 3));
  }
  return Object.fromEntries(
    Object.entries(answer).map(([key, list]) => [
      key,
      list.filter((value) => value !== '').map((value) => canonical(key, value)),
    ]),
  );
}
