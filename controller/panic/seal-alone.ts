/** What seals where no daemon answers: by the backend that will serve, and what another one left goes with the end of it. */
import type { HostConfig } from '../../policies/config.ts';
import type { Seal } from '../../render/panic.ts';
import type { Refusal } from '../apply/backend.ts';
import { readBackends } from '../apply/backend-memory.ts';
import { type ChosenBackend, chooseBackend, variantOf } from '../apply/choose-backend.ts';
import { parseRefusal } from '../commands/nft-channel.ts';
import type { Run } from '../commands/run.ts';
import { readOurTables } from '../kernel/observe.ts';
import { nftFormat, xtFormat } from '../state/boot-format.ts';
import { keepPanicForBoot } from '../state/boot-ruleset.ts';
import { PanicTable, type SealTable } from './panic-table.ts';
import { createXtSealTable } from './xt-seal-table.ts';

export interface LoneSeal extends Pick<SealTable, 'hold'> {
  /** Beside whichever last rules there are. @throws Error where it can't be written. */
  keepForBoot(seal: Seal | undefined): Promise<void>;
}

export async function sealTableAlone(
  run: Run,
  { wanted, stateDirectory }: { readonly wanted: HostConfig['backend']; readonly stateDirectory: string },
): Promise<LoneSeal> {
  const known = await readBackends(stateDirectory);
  // Where what is wanted can't be had, whatever served last can: a seal holds beside the rules of any.
  const chosen = await chooseBackend(run, wanted).catch(() => known.at(-1) ?? 'nftables');
  const table = tableOf(run, chosen);
  const others = new Set<ChosenBackend>([...known, 'nftables']);
  others.delete(chosen);
  return {
    hold: async (seal) => {
      await table.hold(seal);
      if (seal !== undefined) return;
      for (const other of others) if (await mayHold(run, other)) await tableOf(run, other).hold(undefined);
    },
    keepForBoot: async (seal) => {
      for (const format of [nftFormat(), xtFormat(variantOf(chosen) ?? 'system')])
        await keepPanicForBoot(stateDirectory, seal === undefined ? [] : format.seal(seal), format);
    },
  };
}

/** A kernel without nf_tables holds nothing of it, and can't be asked. */
const mayHold = async (run: Run, backend: ChosenBackend): Promise<boolean> =>
  backend !== 'nftables' || (await readOurTables(run)).length > 0;

function tableOf(run: Run, backend: ChosenBackend): SealTable {
  const variant = variantOf(backend);
  return variant === undefined
    ? new PanicTable({ run, commit: (commands) => commit(run, commands), flags: [], pid: () => undefined })
    : createXtSealTable(run, variant);
}

async function commit(run: Run, commands: readonly string[]): Promise<Refusal | undefined> {
  const { stderr, exitCode } = await run('nft', ['-f', '-'], { input: `${commands.join('\n')}\n` });
  return exitCode === 0 ? undefined : parseRefusal(stderr, '/dev/stdin', commands);
}
