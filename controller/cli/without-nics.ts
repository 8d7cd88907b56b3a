/** What stands where a container's policy would, that has no NIC for one. */
import type { Colours } from './io.ts';

/** A policy of its own is written in vain then, if it has networks that nothing stands before. */
export const policyInVain = (
  file: string | null,
  unenforced: readonly string[] | undefined,
  colours: Colours,
): string =>
  unenforced !== undefined && unenforced.length > 0 && file !== null
    ? colours.red(`${file.replace(/^.*\//, '')}: not enforced`)
    : colours.dim('not ours');
