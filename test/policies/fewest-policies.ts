/** Of many policies, the fewest with the fewest rules that still break something. */
import { shrink } from '../attack/shrink.ts';

/** A policy's text in JSON, with the number that its container has whatever others are left out. */
export type Numbered = readonly [index: number, text: string];

type Breaks = (policies: readonly Numbered[]) => Promise<boolean>;

export async function fewestPolicies(
  policies: readonly Numbered[],
  breaks: Breaks,
  hasTime: () => boolean,
): Promise<readonly Numbered[]> {
  const few = await shrink(policies, breaks, hasTime);
  const rules = few.flatMap((policy) => placesOf(policy));
  const kept = await shrink(rules, (some) => breaks(withRules(few, some)), hasTime);
  return withRules(few, kept);
}

/** `7 3`: the third rule of the policy with number 7, in the order of its text. */
function placesOf([index, text]: Numbered): string[] {
  const places: string[] = [];
  eachRule(text, (rule) => {
    places.push(`${index} ${rule}`);
    return true;
  });
  return places;
}

function withRules(policies: readonly Numbered[], places: readonly string[]): Numbered[] {
  const kept = new Set(places);
  return policies.map(([index, text]) => [index, eachRule(text, (rule) => kept.has(`${index} ${rule}`))]);
}

/** @returns the text with those rules alone that are to stay. */
function eachRule(text: string, stays: (rule: number) => boolean): string {
  let rule = 0;
  const parsed: unknown = JSON.parse(text, (key, value: unknown) =>
    key === 'rules' && Array.isArray(value) ? value.filter(() => stays(rule++)) : value,
  );
  return JSON.stringify(parsed);
}
