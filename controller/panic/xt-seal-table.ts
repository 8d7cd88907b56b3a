/** The kernel's side of a panic where iptables serves: both families, one after the other. */

import { FAMILIES } from '../../render/iptables/xt-ruleset.ts';
import { isXtSealed, renderXtSeal } from '../../render/iptables/xt-seal.ts';
import type { Seal } from '../../render/panic.ts';
import type { Run } from '../commands/run.ts';
import { readTables, writeSteps, type XtVariant } from '../iptables/xt-tools.ts';
import type { SealTable } from './panic-table.ts';

export function createXtSealTable(run: Run, variant: XtVariant): SealTable {
  let isKnown = false;

  /** @returns whether anything was written. */
  async function bring(seal: Seal | undefined): Promise<boolean> {
    let written = false;
    for (const family of FAMILIES) {
      const held = await readTables(run, variant, family);
      if (isXtSealed(seal, held)) continue;
      const said = await writeSteps(run, variant, [{ tool: 'restore', family, lines: renderXtSeal(seal, held) }]);
      if (said !== undefined) throw new Error(said);
      written = true;
    }
    return written;
  }

  return {
    hold: async (seal) => {
      await bring(seal);
      isKnown = true;
    },
    verify: async (seal) => {
      const wasKnown = isKnown;
      const written = await bring(seal);
      isKnown = true;
      return wasKnown && written;
    },
  };
}
