/** Reads what the host's routing says about uplinks, where a policy has one; a host without pays for nothing. */

import type { UplinkChoice } from '../../policies/compile-uplink.ts';
import type { EnforcedPolicy } from '../../policies/nic-plans.ts';
import { assignTables, choiceKey, type UplinkFacts, uplinkParties } from '../../policies/uplink-facts.ts';
import type { InterfaceName } from '../../render/names.ts';
import type { Run } from '../commands/run.ts';
import { isTableTaken, readHostRouting, readStrict } from '../kernel/observe-uplinks.ts';
import { keepEqual } from '../remember.ts';

/** Of all containers, whether they run or not. */
export const uplinkChoices = (policies: Iterable<{ readonly enforced: EnforcedPolicy }>): UplinkChoice[] =>
  [...policies].flatMap(({ enforced }) =>
    [enforced.default, ...enforced.interfaces.values()].flatMap(({ uplink }) => uplink ?? []),
  );

export class UplinkReader {
  readonly #run: Run;
  /** Tables that held nobody else's routes when they were chosen: from then on they are ours. */
  readonly #free = new Set<number>();
  readonly #taken = new Set<number>();
  readonly #steady = keepEqual(({ defaults, taken, strict }: UplinkFacts) =>
    JSON.stringify([defaults, [...taken].sort(), [...strict].sort()]),
  );
  #facts: UplinkFacts | undefined;
  #asked = '';

  constructor(run: Run) {
    this.#run = run;
  }

  /** As last read. */
  get facts(): UplinkFacts | undefined {
    return this.#facts;
  }

  /**
   * Reads again where the choices are others than before, and where `stale`. `uplinks`: of the host.
   * @returns whether something is known that wasn't. @throws CommandError
   */
  async read(choices: readonly UplinkChoice[], uplinks: readonly InterfaceName[], stale: boolean): Promise<boolean> {
    const asked = JSON.stringify([[...new Set(choices.map(choiceKey))].sort(), uplinks]);
    const before = this.#facts;
    if (choices.length === 0) this.#facts = undefined;
    else if (stale || before === undefined || this.#asked !== asked) {
      this.#asked = asked;
      const { defaults, taken } = await readHostRouting(this.#run);
      const tables = await this.#settle([...uplinkParties(choices, uplinks, { defaults }).keys()], taken);
      const strict = readStrict([...choices.map(({ dev }) => dev), ...uplinks]);
      this.#facts = this.#steady({ defaults, taken: tables, strict });
    }
    return this.#facts !== before;
  }

  /** Looks into each table before it is taken, and goes on to the next where somebody else is. */
  async #settle(keys: readonly string[], told: readonly number[]): Promise<ReadonlySet<number>> {
    for (const table of told) if (!this.#free.has(table)) this.#taken.add(table);
    for (;;) {
      const unknown = [...assignTables(keys, this.#taken).values()].filter((table) => !this.#free.has(table));
      if (unknown.length === 0) return new Set(this.#taken);
      for (const table of unknown) {
        if (await isTableTaken(this.#run, table)) this.#taken.add(table);
        else this.#free.add(table);
      }
    }
  }
}
