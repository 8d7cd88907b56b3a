/** Who asks for which addresses, to tell of a change of some NICs whether anybody wants the same. */
import { type AddressRange, isHostPrefix, type Prefix, rangeOf, rangesOverlap } from '../render/address.ts';

interface Claims {
  readonly key: string;
  readonly prefixes: readonly Prefix[];
}

export class ClaimIndex {
  /** Of several one, who may not be changed; see `move`. */
  readonly #singles = new Map<Prefix, string>();
  readonly #wide = new Map<string, readonly AddressRange[]>();

  constructor(all: Iterable<Claims>) {
    for (const claims of all) this.#add(claims);
  }

  /**
   * The NICs of `come` in the place of those of `gone`, which want nothing that another one wants.
   * @returns false where they may want the same as each other or as anybody else: then it is of no use any more
   */
  move(gone: readonly Claims[], come: readonly Claims[]): boolean {
    for (const { key, prefixes } of gone) {
      this.#wide.delete(key);
      for (const prefix of prefixes) if (this.#singles.get(prefix) === key) this.#singles.delete(prefix);
    }
    for (const claims of come) {
      if (!claims.prefixes.every((prefix) => this.#isFree(prefix, claims.key))) return false;
      this.#add(claims);
    }
    return true;
  }

  /** For a prefix that is no single address all would have to be looked at. */
  #isFree(prefix: Prefix, key: string): boolean {
    const owner = this.#singles.get(prefix);
    if (!isHostPrefix(prefix) || (owner !== undefined && owner !== key)) return false;
    if (this.#wide.size === 0) return true;
    const range = rangeOf(prefix);
    return [...this.#wide].every(
      ([other, ranges]) => other === key || !ranges.some((one) => rangesOverlap(one, range)),
    );
  }

  #add({ key, prefixes }: Claims): void {
    const wide: AddressRange[] = [];
    for (const prefix of prefixes) {
      if (!isHostPrefix(prefix)) wide.push(rangeOf(prefix));
      else if (!this.#singles.has(prefix)) this.#singles.set(prefix, key);
    }
    if (wide.length > 0) this.#wide.set(key, wide);
  }
}
