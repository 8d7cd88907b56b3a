/** In words, which files wait and for what. */
import { CONTAINERS } from '../../policies/policy-files.ts';
import type { WaitingReason } from './revision-view.ts';
import { NO_POLICIES } from './revisions.ts';

const LISTED = 3;

/** `containers/web.yaml and 2 more differ from what is in force and wait for routewall apply` */
export function describeWaiting(files: readonly string[], reason: WaitingReason): string {
  const shown = files.slice(0, LISTED).join(', ');
  const more = files.length > LISTED ? ` and ${files.length - LISTED} more` : '';
  const verb = files.length === 1 ? ['differs', 'waits'] : ['differ', 'wait'];
  return `${shown}${more} ${verb[0]} from what is in force and ${verb[1]} ${WHAT_FOR[reason](files.length === 1)}`;
}

const WHAT_FOR: Readonly<Record<WaitingReason, (isOne: boolean) => string>> = {
  apply: () => 'for routewall apply',
  confirm: () => 'until the revision in force is confirmed or taken back',
  refused: (isOne) =>
    isOne
      ? 'until it changes again, or for routewall apply: it was taken back'
      : 'until they change again, or for routewall apply: they were taken back',
  missing: () => `until ${CONTAINERS}/ is there again: ${NO_POLICIES}`,
};
