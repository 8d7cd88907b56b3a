/** The rules that a backend holds in the kernel, and how it would list what it should hold. */
import { readFile } from 'node:fs/promises';
import type { HostConfig } from '../../policies/config.ts';
import type { DesiredState } from '../../render/desired.ts';
import { renderXt } from '../../render/iptables/xt-render.ts';
import type { XtRuleset } from '../../render/iptables/xt-ruleset.ts';
import { renderXtListing } from '../../render/iptables/xt-text.ts';
import { isSameListing, sortListing } from '../../render/listing.ts';
import { renderDesired } from '../../render/nft.ts';
import { type Ruleset, renderRuleset } from '../../render/ruleset.ts';
import { nameOf } from '../apply/apply.ts';
import { chooseBackend, variantOf } from '../apply/choose-backend.ts';
import type { Run } from '../commands/run.ts';
import { listedByXt, parseProtocolNames } from '../iptables/listed-by-xt.ts';
import { holdByXt } from '../iptables/unsayable-nics.ts';
import { listXtElsewhere, readXt, type XtVariant } from '../iptables/xt-tools.ts';
import { type ListedChains, listedByNft } from './listed-chains.ts';
import { listElsewhere, readRuleset } from './observe.ts';
import { unifiedDiff } from './unified-diff.ts';

export type HeldRules =
  | { readonly kind: 'nftables'; readonly observed: Ruleset }
  | { readonly kind: 'iptables'; readonly variant: XtVariant; readonly observed: XtRuleset };

/** @throws CommandError */
export async function readHeldRules(run: Run, wanted: HostConfig['backend']): Promise<HeldRules> {
  const variant = variantOf(await chooseBackend(run, wanted));
  return variant === undefined
    ? { kind: 'nftables', observed: await readRuleset(run) }
    : { kind: 'iptables', variant, observed: await readXt(run, variant) };
}

export const holdsAny = (held: HeldRules): boolean =>
  held.kind === 'nftables' ? held.observed.size > 0 : [...held.observed.families.values()].some(hasChains);

const hasChains = ({
  tables,
}: {
  readonly tables: ReadonlyMap<string, { readonly chains: ReadonlyMap<string, unknown> }>;
}) => [...tables.values()].some(({ chains }) => chains.size > 0);

export interface ListedBoth {
  readonly observed: ListedChains;
  readonly expected: ListedChains;
  /** As `unifiedDiff`, without counters and what packets brought. */
  readonly difference: string;
  /** As the backend can hold it: an interface that needs what it can't say is shut. */
  readonly holdable: DesiredState;
}

/** @throws CommandError where what it should be doesn't load. */
export async function listRules(run: Run, held: HeldRules, desired: DesiredState): Promise<ListedBoth> {
  switch (held.kind) {
    case 'nftables': {
      const { observed } = held;
      const expected = await listElsewhere(run, renderDesired(desired, nameOf), observed);
      return {
        ...{ observed: listedByNft(observed), expected: listedByNft(expected) },
        difference: differenceOf(observed, expected),
        holdable: desired,
      };
    }
    case 'iptables': {
      const holdable = holdByXt(desired).state;
      const protocols = parseProtocolNames(await readFile('/etc/protocols', 'utf8').catch(() => ''));
      const listed = (ruleset: XtRuleset): ListedChains => listedByXt(ruleset, { desired: holdable, protocols });
      const expected = await listXtElsewhere(run, held.variant, renderXt(holdable, nameOf));
      return {
        ...{ observed: listed(held.observed), expected: listed(expected) },
        difference: unifiedDiff(renderXtListing(held.observed), renderXtListing(expected)),
        holdable,
      };
    }
  }
}

/** The texts are made only where they differ, which takes a while among thousands. */
function differenceOf(observed: Ruleset, expected: Ruleset): string {
  if (isSameListing(observed, expected)) return '';
  const textOf = (ruleset: Ruleset): string => renderRuleset(sortListing(ruleset));
  return unifiedDiff(textOf(observed), textOf(expected));
}
