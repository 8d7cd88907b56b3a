/** What the doctor finds: what it does to whom, and the line that mends it. */

export interface Finding {
  /** error: what policies allow is dropped, or something isn't filtered; warning: it may be; note: worth to know. */
  readonly severity: 'error' | 'warning' | 'note';
  /** `null`: it is about the host. */
  readonly container: string | null;
  readonly message: string;
  /** A command, or a line of a configuration; `null` where there is nothing to do. */
  readonly mend: string | null;
}
