/** What the kernel says of a call that failed. */

/** Such as `ENOENT`; empty for any other error. */
export const errorCode = (cause: unknown): string =>
  cause instanceof Error && 'code' in cause ? String(cause.code) : '';
