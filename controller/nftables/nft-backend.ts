/** The rules as our nft tables, each change one transaction. */
import { isBridged } from '../../render/bridged.ts';
import type { DesiredState } from '../../render/desired.ts';
import { leaveOut } from '../../render/leave-out.ts';
import { diffListings, parseListingInPieces } from '../../render/listing.ts';
import { parsePublished } from '../../render/nat.ts';
import { diffDesired, renderDesired, renderInPieces, renderNics } from '../../render/nft.ts';
import { parseOwned } from '../../render/owned.ts';
import { EMPTY_RULESET, type NftTable, type Ruleset, type TableFamily } from '../../render/ruleset.ts';
import { diffRulesets } from '../../render/transaction.ts';
import { nameOf } from '../apply/apply.ts';
import type { Backend, Committed, Held, Look, Refusal } from '../apply/backend.ts';
import { TableOwner } from '../apply/table-ownership.ts';
import type { NftChannel } from '../commands/nft-channel.ts';
import { abortable, reading } from '../commands/reading.ts';
import { CommandError, type Run } from '../commands/run.ts';
import { inTurns } from '../in-turns.ts';
import { listElsewhere, listTables, readOurTables, readRuleset } from '../kernel/observe.ts';
import { messageOf } from '../log.ts';
import { ComparedListings } from './compared-listings.ts';

export interface NftPorts {
  readonly nft: NftChannel;
  readonly run: Run;
  /** Whether the channel's process shall own our tables; see `canOwnTables`. */
  readonly ownsTables?: boolean;
}

export function createNftBackend({ nft, run, ownsTables = false }: NftPorts): Backend {
  const owner = new TableOwner(nft, ownsTables);
  // Asked for at the start, since an earlier run may have left it, and while there is one.
  let mayHaveBridge = true;
  const families = (): readonly TableFamily[] => (mayHaveBridge ? ['inet', 'arp', 'bridge'] : ['inet', 'arp']);
  const readOurs = (signal?: AbortSignal): Promise<Ruleset> => readRuleset(abortable(run, signal), families());

  const claimed = (state: DesiredState): Ruleset => owner.claim(renderDesired(state, nameOf));

  const compared = new ComparedListings();
  const diffListed = async (
    observed: Ruleset,
    rendered: Ruleset,
    signal: AbortSignal | undefined,
  ): Promise<string[] | Refusal> =>
    observed.size === 0
      ? createTables(observed, diffRulesets(observed, rendered))
      : await reading(() =>
          compared.diff(observed, rendered, () => diffElsewhere(observed, rendered, abortable(run, signal))),
        );

  const diffElsewhere = async (
    observed: Ruleset,
    rendered: Ruleset,
    abortableRun: Run,
  ): Promise<string[] | Refusal> => {
    try {
      const commands = diffListings(observed, await listElsewhere(abortableRun, rendered, observed), rendered);
      return createTables(observed, commands);
    } catch (cause) {
      if (cause instanceof CommandError && cause.message.includes('Error:'))
        return { command: undefined, message: messageOf(cause) };
      throw cause;
    }
  };

  const holds = async (state: DesiredState, { run, turn, touched }: Look): Promise<boolean> => {
    const listing = await listTables(run, families());
    const others = await touched();
    const rendered = await inTurns(renderInPieces(state, nameOf, others), turn);
    const theirs = renderNics(state, [...others], nameOf);
    const listed = await inTurns(parseListingInPieces(listing), turn);
    const observed = await inTurns(leaveOut(listed, theirs, rendered), turn);
    const expected = await listElsewhere(run, rendered, observed, turn);
    return diffListings(observed, expected, owner.claim(rendered)).length === 0;
  };

  const commit = async (commands: readonly string[]): Promise<Committed> => ({
    refusal: await nft.commit(commands),
    commands,
  });

  const hold = (observed: Ruleset, signal: AbortSignal | undefined): Held => {
    // Once one attempt was taken, the kernel holds its words and no longer what was observed.
    let taken: Ruleset | undefined;
    return {
      owned: ownedIn(observed),
      shuts: (nic) => shuts(observed.get(isBridged(nic) ? 'bridge' : 'inet')),
      bring: async (state) => {
        const rendered = claimed(state);
        const text = taken === undefined ? await diffListed(observed, rendered, signal) : diffRulesets(taken, rendered);
        if ('message' in text) return { refusal: text, commands: [] };
        const committed = await commit(text);
        if (committed.refusal !== undefined) return committed;
        taken = rendered;
        mayHaveBridge = rendered.has('bridge');
        owner.committed();
        return committed;
      },
    };
  };

  /** Each by itself: a table that is there is refused. */
  const putBack = async (state: DesiredState): Promise<readonly string[]> => {
    const written: string[] = [];
    for (const table of claimed(state)) {
      const commands = createTables(EMPTY_RULESET, diffRulesets(EMPTY_RULESET, new Map([table])));
      const { refusal } = await commit(commands);
      if (refusal === undefined) written.push(...commands);
    }
    if (written.length > 0) owner.committed();
    return written;
  };

  const describe = (before: DesiredState, after: DesiredState): string[] => {
    if (before.host.bridges === undefined && after.host.bridges === undefined)
      return diffDesired(before, after, nameOf);
    mayHaveBridge = true;
    if (before.host.bridges !== undefined && after.host.bridges !== undefined)
      return diffDesired(before, after, nameOf);
    // A table that comes has to be had as the others are.
    return diffRulesets(claimed(before), claimed(after));
  };

  return {
    name: 'nftables',
    holdable: (state) => ({ state, unheld: new Map() }),
    change: (before, after) => commit(describe(before, after)),
    holds,
    read: async (signal) => hold(await owner.takeOver(await readOurs(signal)), signal),
    readOwned: async () => ownedIn(await readOurs()),
    remove: async () => {
      const tables = await readOurTables(run);
      // Also on a kernel without nf_tables, where no nft could be asked to do anything.
      return tables.length === 0 ? NOTHING : await commit(tables.map((table) => `delete table ${table}`));
    },
    putBack,
    describe,
  };
}

/** A table that was told to be absent and is there is refused: `add` would put each of its rules there a second time. */
const createTables = (told: Ruleset, commands: readonly string[]): string[] => {
  const known = new Set<string>(told.keys());
  return commands.map((line) =>
    line.replace(/^add(?= table (\w+))/, (add, family: string) => (known.has(family) ? add : 'create')),
  );
};

const NOTHING: Committed = { refusal: undefined, commands: [] };

const ownedIn = (ruleset: Ruleset): ReadonlySet<string> =>
  new Set([
    ...parseOwned(ruleset.get('inet')),
    ...parseOwned(ruleset.get('bridge')),
    ...parsePublished(ruleset.get('inet')),
  ]);

/** Whole, as rules of ours are that nobody changed. */
const shuts = (table: NftTable | undefined): boolean =>
  table?.flags?.includes('dormant') !== true &&
  [...(table?.chains.values() ?? [])].some(({ hook, rules }) => hook.includes('hook prerouting') && rules.length > 0);
