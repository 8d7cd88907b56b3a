/** Which listing was found to say what was rendered, so that a minute in which nothing happened loads nothing elsewhere. */
import { createHash } from 'node:crypto';
import { type Ruleset, renderRuleset } from '../../render/ruleset.ts';

/** What nft makes of the same words may change under a running daemon: with its own upgrade, or with /etc/iproute2. */
const FRESH_EVERY = 10;

/**
 * Can't hide a difference: the kernel is listed each time, and only the very words that were compared before, on both sides,
 * and found equal are taken for equal. Any other word on either side is a complete comparison.
 */
export class ComparedListings {
  #equal: string | undefined;
  #asked = 0;

  /** @param compare the commands that lead from one to the other, or why there are none. */
  async diff<T extends object>(
    observed: Ruleset,
    rendered: Ruleset,
    compare: () => Promise<string[] | T>,
  ): Promise<string[] | T> {
    // A digest, since the words of 10,000 containers would be megabytes kept for a minute's comparison.
    const pair = digest(observed, rendered);
    this.#asked++;
    if (pair === this.#equal && this.#asked % FRESH_EVERY !== 0) return [];
    this.#equal = undefined;
    const found = await compare();
    if (Array.isArray(found) && found.length === 0) this.#equal = pair;
    return found;
  }
}

function digest(observed: Ruleset, rendered: Ruleset): string {
  const hash = createHash('sha256');
  for (const ruleset of [observed, rendered]) hash.update(renderRuleset(ruleset)).update('\0');
  return hash.digest('hex');
}
