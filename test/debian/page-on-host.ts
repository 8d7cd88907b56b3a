/** A page of the documentation, done on a real host as an administrator would who copies what it shows. */
import { expect } from 'vitest';
import type { DebianHost } from '../../sandbox/debian-host.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { copyToHost } from './package.ts';
import { abridge, normalise, type Step } from './page.ts';

type Say = (command: string) => Promise<string>;

/** Puts the package where the page finds it: in root's home, under the page's version, whichever the present one is. */
export async function bringPackage(host: DebianHost, page: string, file: string): Promise<void> {
  const [shown = ''] = /routewall_[\d.]+_all[.]deb/.exec(page) ?? [];
  await copyToHost(host, file, `/root/${shown}`);
}

/** In root's home, with what a terminal would show of it. */
export const sayOn =
  (host: DebianHost): Say =>
  async (command) => {
    const shell = ['DEBIAN_FRONTEND=noninteractive', 'bash', '-c', `cd /root && exec 2>&1 && ${command}`];
    return (await host.system.runForResult('env', shell, { timeout: 120_000 })).stdout;
  };

/** Writes the file, or has the command say what the page shows. */
export async function followStep({ kind, name, text }: Step, host: DebianHost, say: Say = sayOn(host)): Promise<void> {
  if (kind === 'file') return await host.write(name, text);
  const shown = normalise(text);
  let said = '';
  const isAsShown = async (): Promise<boolean> => {
    said = abridge(normalise(await say(name)), shown);
    return said === shown;
  };
  // The daemon follows what happens by itself: what only reads is asked until it has.
  if (name.startsWith('routewall ')) await eventually(name, isAsShown, 10_000).catch(() => undefined);
  else await isAsShown();
  expect(said).toBe(shown);
}
