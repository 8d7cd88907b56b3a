/**
 * Our tables as the property of the process that commits to them, where nft (1.1) and kernel (6.9) can do it: what others
 * flush or edit leaves them alone, and when that process ends they stay for its successor.
 */
import { ORPHAN_TABLE, OWNED_TABLE, type Ruleset, TABLE, withFlags } from '../../render/ruleset.ts';
import { diffRulesets } from '../../render/transaction.ts';
import type { NftChannel } from '../commands/nft-channel.ts';
import type { Run } from '../commands/run.ts';

/** The listing is another process's: the table is there although its owner ended. */
const TRY = `nft 'add table inet ${TABLE} { flags ${OWNED_TABLE.join(', ')}; }' && nft list table inet ${TABLE}`;

/** Tried in a network namespace that exists only for this, since versions don't tell what a kernel was built with. */
export async function canOwnTables(run: Run): Promise<boolean> {
  const { stdout, exitCode } = await run('unshare', ['--net', 'sh', '-c', TRY]);
  return exitCode === 0 && stdout.includes('persist');
}

export class TableOwner {
  readonly #nft: NftChannel;
  readonly #owns: boolean;
  /** The process that took the tables. */
  #pid: number | undefined;

  /** `owns`: see `canOwnTables`; without it, everything here leaves the tables as they are. */
  constructor(nft: NftChannel, owns: boolean) {
    this.#nft = nft;
    this.#owns = owns;
  }

  /** What shall be in force, as the channel's own. */
  claim(rendered: Ruleset): Ruleset {
    return this.#owns ? withFlags(rendered, OWNED_TABLE) : rendered;
  }

  /**
   * Takes over as it is what an earlier owner left: no rule is written. A table that was made without `persist` can't be
   * had so; it is replaced with the difference. @returns the tables as they are then. @throws Error while another owns them.
   */
  async takeOver(observed: Ruleset): Promise<Ruleset> {
    // A listing doesn't tell whose a table is: only what this very process took is known to be its own.
    const isTaken = this.#pid !== undefined && this.#pid === this.#nft.pid;
    const left = [...observed].filter(
      ([, { flags = [] }]) =>
        flags.includes('persist') && !flags.includes('dormant') && !(isTaken && flags.includes('owner')),
    );
    if (!this.#owns || left.length === 0) return observed;
    const owned = withFlags(new Map(left), OWNED_TABLE);
    const refusal = await this.#nft.commit(diffRulesets(withFlags(owned, ORPHAN_TABLE), owned));
    if (refusal !== undefined) throw new Error(`our tables can't be taken over: ${refusal.message}`);
    return new Map([...observed, ...owned]);
  }

  /** After a commit of what `claim` gave. */
  committed(): void {
    this.#pid = this.#nft.pid;
  }
}
