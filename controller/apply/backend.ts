/** What brings the desired rules into the kernel: nftables or iptables, never both at once. */
import type { DesiredState, NicState } from '../../render/desired.ts';
import type { Run } from '../commands/run.ts';
import type { Turn } from '../in-turns.ts';

export type BackendName = 'nftables' | 'iptables';

/** A verdict about a change that left the kernel as it was. */
export interface Refusal {
  /** The command that is minded, where one is named. */
  readonly command: string | undefined;
  readonly message: string;
}

export interface Committed {
  readonly refusal: Refusal | undefined;
  /** What was written, in the backend's own words; empty where nothing had to be. */
  readonly commands: readonly string[];
}

export interface Holdable {
  /** What can't be held of a NIC is shut in it; the very state that was asked about, where all can. */
  readonly state: DesiredState;
  /** By NIC key: why it gets nothing, as a sentence. */
  readonly unheld: ReadonlyMap<string, string>;
}

export interface Backend {
  readonly name: BackendName;
  /** What of a state it can hold; the others of these are given nothing else. */
  holdable(desired: DesiredState): Holdable;
  /** From one state that is in force to another. @throws Error when nothing is known: read the kernel again. */
  change(before: DesiredState, after: DesiredState): Promise<Committed>;
  /**
   * The kernel as it is. `signal` ends the reading, that of the first `bring` too: its reason is thrown, and nothing was
   * written. @throws Error where it can't be read, which is no empty kernel.
   */
  read(signal?: AbortSignal): Promise<Held>;
  /**
   * Whether the kernel holds the rules of a state, found out while others change it. Without it, nothing is found out so.
   * @throws Error where it can't be told
   */
  holds?(state: DesiredState, look: Look): Promise<boolean>;
  /** Which veth may send from which prefix by the kernel, as `VETH PREFIX`, and what is published, see heldPublication. */
  readOwned(): Promise<ReadonlySet<string>>;
  /** Takes away all that is ours, and nothing else: another backend serves. */
  remove(): Promise<Committed>;
  /**
   * Those of our tables that are gone, as a state that was in force had them. Without it they come with the comparison.
   * @returns what was written.
   */
  putBack?(state: DesiredState): Promise<readonly string[]>;
  /** What `change` would write. */
  describe(before: DesiredState, after: DesiredState): readonly string[];
}

/** At the kernel, beside passes. */
export interface Look {
  readonly run: Run;
  readonly turn: Turn;
  /** The NICs that passes have changed since the state was in force, as they were and became: nothing is told of them. */
  readonly touched: () => Promise<ReadonlySet<NicState>>;
}

/** The rules that the kernel was found with. */
export interface Held {
  /** Which veth may send from which prefix, as `VETH PREFIX`. */
  readonly owned: ReadonlySet<string>;
  /** Whether an interface like this gets nothing by them that may send from nothing. */
  shuts(nic: NicState): boolean;
  /** Writes what differs; once one attempt was taken, the next one begins there. */
  bring(state: DesiredState): Promise<Committed>;
}
