/** Changes of flows as preview tells them: lines for people, rows for programs. */
import { formatChangeLine, placeText, rowsOfLine } from '../../policies/flows/change-lines.ts';
import { describeTerms } from '../../policies/flows/terms.ts';
import type { Direction, Verdict } from '../../render/rule.ts';
import type { NicChange } from './flow-changes.ts';

/** One peer and one service each, as far as there are names; `any except host` is one peer. */
export interface FlowRow {
  readonly container: string;
  readonly nic: string;
  readonly direction: Direction;
  readonly peer: string;
  readonly service: string;
  readonly before: Verdict;
  readonly after: Verdict;
  /** `at most 20/second, 40 at once, until 2027-01-31T00:00:00Z, then dropped`; empty where the verdict says all. */
  readonly beforeTerms: string;
  readonly afterTerms: string;
  /** Peer and service are `any`, less what rules decide. */
  readonly otherwise: boolean;
  /** `web.yaml:7`; the lines that said and say so. Empty where no file does. */
  readonly beforeRules: readonly string[];
  readonly afterRules: readonly string[];
}

/** Of these containers alone, unless there are none. */
export function describeFlows(
  changes: readonly NicChange[],
  names: readonly string[],
): { readonly flows: readonly FlowRow[]; readonly words: readonly ToldChange[] } {
  const chosen = changes.filter(({ container }) => names.length === 0 || names.includes(container));
  return { flows: flowRows(chosen), words: tellChanges(chosen) };
}

export function flowRows(changes: readonly NicChange[]): FlowRow[] {
  return changes.flatMap(({ container, nic, direction, lines }) =>
    lines === 'unknown'
      ? []
      : lines.flatMap((line) =>
          rowsOfLine(line).map((row) => ({
            container,
            nic,
            direction,
            ...row,
            before: line.before.verdict,
            after: line.after.verdict,
            beforeTerms: describeTerms(line.before),
            afterTerms: describeTerms(line.after),
            otherwise: line.otherwise,
            beforeRules: line.origins.before.map(placeText),
            afterRules: line.origins.after.map(placeText),
          })),
        ),
  );
}

export interface ToldChange {
  readonly text: string;
  readonly opens: boolean;
}

/** What many containers gain or lose alike is told once. */
export function tellChanges(changes: readonly NicChange[]): ToldChange[] {
  const told = new Map<string, { readonly opens: boolean; readonly tell: (who: string) => string; who: NicChange[] }>();
  for (const change of changes) {
    const { direction, lines } = change;
    const parts =
      lines === 'unknown'
        ? [{ opens: false, tell: (who: string) => `${who}: ${direction} ${UNKNOWN}` }]
        : lines.map((line) => ({
            opens: line.opens,
            tell: (who: string) => formatChangeLine(line, direction, who),
          }));
    for (const part of parts) {
      const key = part.tell('');
      const entry = told.get(key) ?? { ...part, who: [] };
      entry.who.push(change);
      told.set(key, entry);
    }
  }
  return [...told.values()].map(({ opens, tell, who }) => ({ opens, text: tell(whoText(who)) }));
}

const UNKNOWN = 'rules in the kernel are not ours: what they let pass is not known';

/** More containers than this are counted, not listed. */
const LISTED = 4;

/** `web, db (eth1)`: the NICs where it isn't all of the container's. */
function whoText(who: readonly NicChange[]): string {
  const changed = new Map<string, NicChange[]>();
  for (const change of who) changed.set(change.container, [...(changed.get(change.container) ?? []), change]);
  const names = [...changed].map(([container, changes]) =>
    changes.length < (changes[0]?.nics ?? 1) ? `${container} (${changes.map(({ nic }) => nic).join(', ')})` : container,
  );
  if (names.length <= LISTED) return names.join(', ');
  return `${names.slice(0, LISTED - 1).join(', ')} and ${names.length - LISTED + 1} more`;
}
