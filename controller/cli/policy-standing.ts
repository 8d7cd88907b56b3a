/** What has become of a container's policy file, in the words of `list` and `status`. */
import type { PolicyStatus } from '../pass/policy-status.ts';
import type { Colours } from './io.ts';

interface Standing {
  readonly file: string | null;
  readonly status: PolicyStatus;
}

export const policyName = ({ file }: Standing): string => file?.replace(/^.*\//, '') ?? 'no file';

/** `undefined` where what it says is in force. */
export function policyStanding({ file, status }: Standing): string | undefined {
  switch (status) {
    case 'ok':
      return undefined;
    case 'open':
      return 'open';
    case 'last-good':
      return 'broken, last good one';
    case 'closed':
      return file === null ? 'closed' : 'broken, closed';
  }
}

/** Red where there is a file, and it says something else than what is in force. */
export const standingColour = ({ file, status }: Standing, colours: Colours): ((text: string) => string) =>
  file !== null && (status === 'last-good' || status === 'closed') ? colours.red : colours.yellow;
