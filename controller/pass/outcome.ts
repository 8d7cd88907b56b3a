/** What a pass came to. */
import type { Prefix } from '../../render/address.ts';
import type { DesiredState } from '../../render/desired.ts';
import type { TrafficFailure } from '../../render/traffic.ts';
import type { Applied } from '../apply/applied.ts';
import type { Unread } from '../commands/reading.ts';
import type { Choice } from '../revisions/revisions.ts';
import type { Assembled } from './assemble.ts';

export interface Outcome {
  readonly assembled: Assembled;
  readonly applied: Applied;
  /** What was enforced before this pass; `undefined` after a start or a failure. */
  readonly before: DesiredState | undefined;
  /** Drift that was found and mended, as lines. */
  readonly repaired: readonly string[];
  /** Prefixes that another NIC had before; their connections are forgotten. */
  readonly released: ReadonlySet<Prefix>;
  /** Whether a comparison with the kernel was made to its end. */
  readonly isCompared: boolean;
  /** Why something could not be read, a comparison included; what changed is in force all the same. */
  readonly unread: Unread | undefined;
  /** What of the limits and wires isn't in force. */
  readonly traffic: readonly TrafficFailure[];
  /** What the desired state was compiled from. */
  readonly choice: Choice;
}
