/** The daemon's parts that depend on which backend serves: nftables, or iptables in one of its variants. */
import { ORPHAN_TABLE, OWNED_TABLE } from '../render/ruleset.ts';
import type { PolledRulesOptions } from '../watchers/polled-rules.ts';
import type { Backend } from './apply/backend.ts';
import { type ChosenBackend, variantOf } from './apply/choose-backend.ts';
import type { NftChannel } from './commands/nft-channel.ts';
import type { Run } from './commands/run.ts';
import { createXtBackend } from './iptables/xt-backend.ts';
import { readOurRules, type XtVariant } from './iptables/xt-tools.ts';
import { createNftBackend } from './nftables/nft-backend.ts';
import { PanicTable, type SealTable } from './panic/panic-table.ts';
import { createXtSealTable } from './panic/xt-seal-table.ts';
import { type BootFormat, nftFormat, xtFormat } from './state/boot-format.ts';

export interface BackendKind {
  createBackend(): Backend;
  createSealTable(): SealTable;
  readonly bootFormat: BootFormat;
  /** `undefined` where `nft monitor` tells of rules that others change. */
  readonly polledRules: PolledRulesOptions | undefined;
}

export interface BackendKindOptions {
  readonly run: Run;
  /** For what only reads. */
  readonly read: Run;
  readonly nft: NftChannel;
  /** Whether our nftables tables are to have an owner. */
  readonly ownsTables: boolean;
}

export function backendKinds(options: BackendKindOptions): (chosen: ChosenBackend) => BackendKind {
  const nftables = nftablesKind(options);
  return (chosen) => {
    const variant = variantOf(chosen);
    return variant === undefined ? nftables : iptablesKind(options.run, variant);
  };
}

const nftablesKind = ({ read: run, nft, ownsTables }: BackendKindOptions): BackendKind => ({
  createBackend: () => createNftBackend({ nft, run, ownsTables }),
  createSealTable: () =>
    new PanicTable({ run, commit: nft.commit, flags: ownsTables ? OWNED_TABLE : [], pid: () => nft.pid }),
  bootFormat: nftFormat(ownsTables ? ORPHAN_TABLE : []),
  polledRules: undefined,
});

const iptablesKind = (run: Run, variant: XtVariant): BackendKind => ({
  createBackend: () => createXtBackend(run, variant),
  createSealTable: () => createXtSealTable(run, variant),
  bootFormat: xtFormat(variant),
  polledRules: { ask: () => readOurRules(run, variant) },
});
