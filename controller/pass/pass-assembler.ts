/** Assembles for the passes of a session, with what files and links don't say: what an earlier run left, and what uplinks lead to. */
import type { CompiledPolicy } from '../../policies/compile-policy.ts';
import type { Applier } from '../apply/apply.ts';
import type { Wait } from '../commands/reading.ts';
import type { HostReader } from '../host/host-reader.ts';
import { UnclaimedVeths } from '../host/unclaimed-veths.ts';
import { uplinkChoices } from '../host/uplink-facts.ts';
import { rememberLast } from '../remember.ts';
import type { Choice } from '../revisions/revisions.ts';
import type { LastGood } from '../state/last-good.ts';
import { recallPolicies, shutByErrors } from '../state/recall-policies.ts';
import { type Assembled, type Assembler, createAssembler, type HostInputs } from './assemble.ts';

export interface PassAssemblerOptions {
  readonly reader: HostReader;
  readonly lastGood: Pick<LastGood, 'recall'>;
  readonly applier: Pick<Applier, 'readOwned'>;
}

export class PassAssembler {
  readonly #options: PassAssemblerOptions;
  #assembler: Assembler | undefined;
  #unclaimed = new UnclaimedVeths([]);
  readonly #choicesOf = rememberLast((policies: Assembled['policies']) => uplinkChoices(policies.values()));
  readonly #shutOf = rememberLast(shutByErrors);

  constructor(options: PassAssemblerOptions) {
    this.#options = options;
  }

  /** `areUplinksStale`: what was read of uplinks may be otherwise by now; `wait`: for that reading. */
  async assemble(choice: Choice, areUplinksStale: boolean, wait: Wait): Promise<Assembled> {
    if (choice.isReturn) this.#assembler?.forgetLastGood();
    const { uplinks } = this.#options.reader;
    const assembled = await this.#assembleRecalled(choice);
    const { policies, network } = assembled;
    // Which uplinks have to be read only the policies tell.
    const isNew = await uplinks.read(this.#choicesOf(policies), network.uplinks, areUplinksStale, wait);
    return isNew ? await this.#assembleRecalled(choice) : assembled;
  }

  /** A policy that is broken from the start may have been good in an earlier run. */
  async #assembleRecalled({ isLost }: Choice): Promise<Assembled> {
    const { reader, lastGood } = this.#options;
    this.#assembler ??= await this.#begin();
    const assembler = this.#assembler;
    const inputsWith = (recalled?: ReadonlyMap<string, CompiledPolicy>): HostInputs => {
      const known = reader.inputs(recalled);
      const read = { ...known, unclaimed: this.#unclaimed.without(known.veths) };
      return isLost ? { ...read, config: { ...read.config, withoutPolicy: 'closed' } } : read;
    };
    const inputs = inputsWith();
    const assembled = assembler.assemble(inputs);
    // Only for this once: from now on the assembler knows it, and what the user takes back must not return later.
    const recalled = await recallPolicies(lastGood, this.#shutOf(assembled.policies), inputs.now);
    return recalled.size === 0 ? assembled : assembler.assemble(inputsWith(recalled));
  }

  /** Containers keep the addresses and published ports that an earlier run gave them. */
  async #begin(): Promise<Assembler> {
    const owned = await this.#options.applier.readOwned();
    this.#unclaimed = new UnclaimedVeths(owned);
    return createAssembler(owned);
  }
}
