/** The commands that the daemon finds on its PATH: the real ones, but for an nft that can be made to misbehave. */
import { chmod, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PANIC_TABLE } from '../../render/panic.ts';
import { makeFolder } from '../../sandbox/clean-up.ts';
import { kill } from '../../sandbox/sweep.ts';
import { commandOf } from './processes.ts';

const REAL = '/usr/sbin/nft';
const DOES = {
  hang: 'exec sleep 100000',
  fail: 'echo "RTNETLINK answers: No buffer space available" >&2; exit 2',
  kill: 'kill -9 $$',
  wait: 'sleep 2',
};

export interface Misbehaviour {
  readonly words: string;
  readonly does: keyof typeof DOES;
}

/** What stands in nft's place, as a shell script. */
const MODES = {
  slow: `sleep 0.3; exec ${REAL} "$@"`,
  slower: `sleep 1; exec ${REAL} "$@"`,
  failing: 'cat >/dev/null & echo "netlink: Error: cache initialization failed: Operation not permitted" >&2; exit 1',
  silent: 'exec sleep 1',
  garbage: `head -c 300000 /dev/urandom >&2; head -c 300000 /dev/urandom; exit 0`,
  liar: 'cat >/dev/null; exit 0',
  hanging: 'exec sleep 100000',
  // But for what seals.
  hangingRules: `case "$*" in *" ${PANIC_TABLE}"*) exec ${REAL} "$@";; esac; exec sleep 100000`,
} as const;

export type NftMode = keyof typeof MODES | 'missing' | 'real';
export const NFT_MODES: readonly NftMode[] = ['slow', 'failing', 'silent', 'garbage', 'liar', 'missing'];

export interface Tools {
  readonly path: string;
  /** Real again, it also ends what stands in its place still: a liar would go on for ever. */
  setNft(mode: NftMode): Promise<void>;
  /** What `ip` does instead where its words match this shell pattern; without one it is as it was, and what hangs ends. */
  setIp(mode?: Misbehaviour): Promise<void>;
  /** Those that run already stay; of the process that starts commands, which runs perl's programs itself, none begins anew. */
  setPerl(mode?: Misbehaviour): Promise<void>;
  setTc(mode?: Misbehaviour): Promise<void>;
}

/** A folder of links to every command of the machine, so that one of them can be missing. */
export async function makeTools(): Promise<Tools> {
  const [path, scripts] = [join(await makeFolder(), 'bin'), await makeFolder()];
  const begun = join(scripts, 'begun');
  await mkdir(path);
  for (const folder of ['/usr/sbin', '/usr/bin']) {
    for (const name of await readdir(folder))
      await symlink(join(folder, name), join(path, name)).catch(() => undefined);
  }
  for (const [mode, script] of Object.entries(MODES)) {
    await writeFile(join(scripts, mode), `#!/bin/sh\necho $$ >>${begun}\n${script}\n`);
    await chmod(join(scripts, mode), 0o755);
  }
  const put = async (name: string, real: string, mode: Misbehaviour | undefined, before = ''): Promise<void> => {
    const file = join(path, `${name}.new`);
    const instead =
      mode === undefined ? '' : `case "$*" in ${before}${mode.words}) echo $$ >>${begun}; ${DOES[mode.does]};; esac`;
    if (mode === undefined) await symlink(real, file);
    else await writeFile(file, `#!/bin/sh\n${instead}\nexec ${real} "$@"\n`, { mode: 0o755 });
    await rename(file, join(path, name));
    if (mode === undefined) await endStandIns(begun);
  };
  const nft = join(path, 'nft');
  return {
    path,
    setNft: async (mode) => {
      if (mode === 'missing') return await rm(nft, { force: true });
      await symlink(mode === 'real' ? REAL : join(scripts, mode), `${nft}.new`);
      await rename(`${nft}.new`, nft);
      if (mode === 'real') await endStandIns(begun);
    },
    setIp: (mode) => put('ip', '/usr/sbin/ip', mode),
    setPerl: (mode) => put('perl', '/usr/bin/perl', mode, '*starts?commands*) exit 1;; '),
    setTc: (mode) => put('tc', '/usr/sbin/tc', mode),
  };
}

/** `exec` leaves a script its process: what has become the real one, or somebody else's by now, is left alone. */
async function endStandIns(begun: string): Promise<void> {
  const pids = await readFile(begun, 'utf8').catch(() => '');
  await rm(begun, { force: true });
  for (const pid of pids.split('\n').filter(Boolean).map(Number))
    if (/^\/bin\/sh \S+\/nft |^sleep 100000$/.test(commandOf(pid))) kill(pid);
}
