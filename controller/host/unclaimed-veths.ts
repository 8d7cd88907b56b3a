/** Host-side veths that an earlier run had rules for, and that belong to no container by what can be read now. */
import { type InterfaceName, parseInterfaceName } from '../../render/names.ts';
import { linkExists } from './container-runtime.ts';

/**
 * A container may run though its configuration is gone or broken when a daemon begins: its veth stays shut until the veth is
 * gone or a container has it. `owned`: as `VETH PREFIX`.
 */
export class UnclaimedVeths {
  #names: readonly InterfaceName[];

  constructor(owned: Iterable<string>) {
    const names = new Set([...owned].map((line) => line.slice(0, line.indexOf(' '))));
    this.#names = [...names].flatMap((name) => parseInterfaceName(name) ?? []);
  }

  /** Those that are left; the same list while they are the same. `claimed`: the veths of what runs. */
  without(claimed: ReadonlyMap<string, InterfaceName>): readonly InterfaceName[] {
    if (this.#names.length === 0) return this.#names;
    const veths = new Set(claimed.values());
    const left = this.#names.filter((name) => !veths.has(name) && linkExists(name));
    if (left.length < this.#names.length) this.#names = left;
    return this.#names;
  }
}
