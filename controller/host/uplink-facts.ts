/** Reads what the host's routing says about uplinks, where a policy has one; a host without pays for nothing. */

import type { UplinkChoice } from '../../policies/compile-uplink.ts';
import type { EnforcedPolicy } from '../../policies/nic-plans.ts';
import { assignTables, choiceKey, type UplinkFacts, uplinkParties } from '../../policies/uplink-facts.ts';
import type { InterfaceName } from '../../render/names.ts';
import { abortable, patiently, reading } from '../commands/reading.ts';
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
   * @returns whether something is known that wasn't. @throws Unread where nothing known can stand in
   */
  async read(
    choices: readonly UplinkChoice[],
    uplinks: readonly InterfaceName[],
    stale: boolean,
    wait = patiently,
  ): Promise<boolean> {
    const asked = JSON.stringify([[...new Set(choices.map(choiceKey))].sort(), uplinks]);
    const before = this.#facts;
    if (choices.length === 0) this.#facts = undefined;
    else if (stale || before === undefined || this.#asked !== asked) {
      const isKnown = before !== undefined && this.#asked === asked;
      const read = (signal?: AbortSignal) =>
        reading(() => this.#readFacts(abortable(this.#run, signal), choices, uplinks));
      const facts = await (isKnown ? wait : patiently)(read);
      if (facts === undefined) return false;
      this.#asked = asked;
      this.#facts = this.#steady(facts);
    }
    return this.#facts !== before;
  }

  async #readFacts(
    run: Run,
    choices: readonly UplinkChoice[],
    uplinks: readonly InterfaceName[],
  ): Promise<UplinkFacts> {
    const { defaults, taken } = await readHostRouting(run);
    const tables = await this.#settle(run, [...uplinkParties(choices, uplinks, { defaults }).keys()], taken);
    return { defaults, taken: tables, strict: readStrict([...choices.map(({ dev }) => dev), ...uplinks]) };
  }

  /** Looks into each table before it is taken, and goes on to the next where somebody else is. */
  async #settle(run: Run, keys: readonly string[], told: readonly number[]): Promise<ReadonlySet<number>> {
    for (const table of told) if (!this.#free.has(table)) this.#taken.add(table);
    for (;;) {
      const unknown = [...assignTables(keys, this.#taken).values()].filter((table) => !this.#free.has(table));
      if (unknown.length === 0) return new Set(this.#taken);
      for (const table of unknown) {
        if (await isTableTaken(run, table)) this.#taken.add(table);
        else this.#free.add(table);
      }
    }
  }
}
