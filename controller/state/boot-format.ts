/** In what words the next boot finds the rules: for `nft -f`, or as a script for sh. */
import type { DesiredState } from '../../render/desired.ts';
import { renderXt } from '../../render/iptables/xt-render.ts';
import { EMPTY_XT, FAMILIES } from '../../render/iptables/xt-ruleset.ts';
import { renderXtSeal } from '../../render/iptables/xt-seal.ts';
import { diffXt } from '../../render/iptables/xt-transaction.ts';
import { renderInPieces } from '../../render/nft.ts';
import { renderSeal, type Seal } from '../../render/panic.ts';
import type { Pieces } from '../../render/pieces.ts';
import { renderRulesetInPieces, type TableFlag, withFlags } from '../../render/ruleset.ts';
import { nameOf } from '../apply/apply.ts';
import { xtScript, xtScriptLines } from '../iptables/xt-script.ts';
import type { XtCommands } from '../iptables/xt-tools.ts';

export interface BootFormat {
  readonly name: (typeof FORMAT_NAMES)[number];
  readonly render: (state: DesiredState) => Pieces<string>;
  /** To stand behind the rules. */
  readonly seal: (seal: Seal) => readonly string[];
}

export const FORMAT_NAMES = ['last-good.nft', 'last-good.iptables'] as const;

/** `flags`: those of a table that the daemon may then take over. */
export const nftFormat = (flags: readonly TableFlag[] = []): BootFormat => ({
  name: 'last-good.nft',
  *render(state) {
    const ruleset = yield* renderInPieces(state, nameOf);
    return yield* renderRulesetInPieces(withFlags(ruleset, flags));
  },
  seal: renderSeal,
});

/** The last line of the rules tells the guard that the file is whole. */
export const xtFormat = (variant: XtCommands): BootFormat => ({
  name: 'last-good.iptables',
  *render(state) {
    const commands = diffXt(EMPTY_XT, renderXt(state, nameOf));
    yield;
    return `${xtScript(variant, commands)}# whole\n`;
  },
  seal: (seal) =>
    xtScriptLines(
      variant,
      FAMILIES.map((family) => ({ tool: 'restore', family, lines: renderXtSeal(seal, '') })),
    ),
});
