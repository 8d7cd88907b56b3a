/** Tests of which each goes on where the one before ended. */
import { afterEach, beforeEach } from 'vitest';

/** Those of the present `describe`: after one has failed, the others say so and aren't tried. */
export function inOrder(): void {
  let failed: string | undefined;
  beforeEach(() => {
    if (failed !== undefined) throw new Error(`not tried, since this failed before: ${failed}`);
  });
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') failed ??= task.name;
  });
}
