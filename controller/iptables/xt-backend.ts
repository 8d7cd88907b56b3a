/** The rules by iptables, ip6tables, ipset and arptables: each table at once, one after the other. */
import { isBridged } from '../../render/bridged.ts';
import type { DesiredState } from '../../render/desired.ts';
import { ownedOf, translateXt } from '../../render/iptables/xt-listing.ts';
import { renderXt } from '../../render/iptables/xt-render.ts';
import { EMPTY_XT, type XtRuleset } from '../../render/iptables/xt-ruleset.ts';
import { diffXt, linesOf } from '../../render/iptables/xt-transaction.ts';
import { nameOf } from '../apply/apply.ts';
import type { Backend, Committed, Held, Refusal } from '../apply/backend.ts';
import { abortable } from '../commands/reading.ts';
import { CommandError, type Run } from '../commands/run.ts';
import { createXtSealTable } from '../panic/xt-seal-table.ts';
import { holdByXt } from './unsayable-nics.ts';
import { listXtElsewhere, readXt, writeSteps, type XtVariant } from './xt-tools.ts';

export function createXtBackend(run: Run, variant: XtVariant): Backend {
  /** The last state is the next one's beginning. */
  let last: { readonly state: DesiredState; readonly rendered: XtRuleset } | undefined;

  const render = (state: DesiredState): XtRuleset => {
    // Whoever asks: what iptables would read as something else never gets there.
    if (last?.state !== state) last = { state, rendered: renderXt(holdByXt(state).state, nameOf) };
    return last.rendered;
  };

  const describe = (before: DesiredState, after: DesiredState): string[] =>
    linesOf(diffXt(render(before), render(after)));

  const change = async (before: DesiredState, after: DesiredState): Promise<Committed> => {
    const steps = diffXt(render(before), render(after));
    const said = await writeSteps(run, variant, steps);
    if (said === undefined) return { refusal: undefined, commands: linesOf(steps) };
    // A table that was taken before the refusal is put back.
    const { refusal: second } = await (await read()).bring(before);
    if (second !== undefined) throw new CommandError(`${said}; and back: ${second.message}`);
    return { refusal: { command: undefined, message: said }, commands: [] };
  };

  /** What is observed, in our own words where it is right. */
  const compare = async (
    observed: XtRuleset,
    rendered: XtRuleset,
    signal: AbortSignal | undefined,
  ): Promise<XtRuleset | Refusal> => {
    if (isNothing(observed)) return EMPTY_XT;
    try {
      return translateXt(observed, await listXtElsewhere(abortable(run, signal), variant, rendered), rendered);
    } catch (cause) {
      // Whatever doesn't load elsewhere won't load here.
      if (cause instanceof CommandError) return { command: undefined, message: cause.message };
      throw cause;
    }
  };

  const read = async (signal?: AbortSignal): Promise<Held> => {
    const found = await readXt(abortable(run, signal), variant);
    // What the kernel is known to hold, until an attempt fails half-way.
    let observed: XtRuleset | undefined = found;
    let taken: XtRuleset | undefined;
    return {
      owned: ownedOf(found),
      shuts: (nic) => !isBridged(nic) && !isNothing(found),
      bring: async (state) => {
        const rendered = render(state);
        // After an attempt that failed half-way, to put it aside would leave that.
        const until = observed === undefined ? undefined : signal;
        const from = taken ?? (await compare(observed ?? (await readXt(run, variant)), rendered, until));
        if ('message' in from) return { refusal: from, commands: [] };
        const steps = diffXt(from, rendered);
        observed = undefined;
        taken = undefined;
        const said = await writeSteps(run, variant, steps);
        if (said !== undefined) return { refusal: { command: undefined, message: said }, commands: [] };
        taken = rendered;
        return { refusal: undefined, commands: linesOf(steps) };
      },
    };
  };

  return {
    name: 'iptables',
    holdable: holdByXt,
    change,
    read,
    readOwned: async () => ownedOf(await readXt(run, variant)),
    remove: async () => {
      last = undefined;
      return await removeXt(run, variant);
    },
    describe,
  };
}

/** Sets that the other variant's rules use stay: they are that one's. */
async function removeXt(run: Run, variant: XtVariant): Promise<Committed> {
  const seal = createXtSealTable(run, variant);
  const steps = diffXt(await readXt(run, variant), EMPTY_XT);
  const [rules, sets] = [steps.filter(({ tool }) => tool !== 'ipset'), steps.filter(({ tool }) => tool === 'ipset')];
  const said = await writeSteps(run, variant, rules);
  if (said !== undefined) return { refusal: { command: undefined, message: said }, commands: [] };
  await seal.hold(undefined);
  for (const line of linesOf(sets)) {
    const refused = await writeSteps(run, variant, [{ tool: 'ipset', lines: [line] }]);
    if (refused !== undefined && !refused.includes('in use'))
      return { refusal: { command: line, message: refused }, commands: [] };
  }
  return { refusal: undefined, commands: linesOf(steps) };
}

const isNothing = ({ sets, families, arp }: XtRuleset): boolean =>
  sets.size === 0 &&
  arp.size === 0 &&
  [...families.values()].every(({ tables }) =>
    [...tables.values()].every(({ chains, jumps }) => chains.size === 0 && jumps.size === 0),
  );
