/** What a NIC's key can do, and what LXC would have to say about it. */
import type { LxcNicType, Place } from './config.ts';
import type { NicDraft } from './nic-draft.ts';

export interface Complaint {
  /** As in LxcProblem. */
  readonly severity: 'error' | 'warning';
  readonly message: string;
}

export interface NicKey {
  /** Giving a value is refused for a NIC of any other type; clearing is not. */
  readonly only?: LxcNicType;
  /** `value` is never empty. */
  set(nic: NicDraft, value: string, place: Place): Complaint | undefined;
  /** The key with an empty value. */
  clear(nic: NicDraft, place: Place): Complaint | undefined;
}

export const error = (message: string): Complaint => ({ severity: 'error', message });
export const warning = (message: string): Complaint => ({ severity: 'warning', message });
