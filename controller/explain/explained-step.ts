/** One step of an explanation, with its place. */
import type { Verdict } from '../../render/rule.ts';

export interface ExplainedRule {
  /** Of a policy: relative to the policy folder, such as `containers/web.yaml`; of LXC: absolute. */
  readonly file: string;
  readonly line: number;
  /** The user's line, or what stands there in other words. */
  readonly text: string;
}

export interface ExplainedStep {
  /** Such as `egress of tinderbox`. */
  readonly at: string;
  readonly verdict: Verdict | 'log';
  readonly rule: ExplainedRule | null;
  /** What decided where no file says so, and what a file's line means where that is not the same. */
  readonly note?: string;
}

/** The user's own line at a place of a policy, where the text is known. */
export type LineAt = (file: string, line: number) => string | undefined;
