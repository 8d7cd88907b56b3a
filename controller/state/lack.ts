/** Files that can't be read since this process lacks the means to read any: that passes, and says nothing about the file. */

const LACKS: readonly unknown[] = ['EMFILE', 'ENFILE', 'ENOMEM'];

/** Of the error or one of its causes. */
export const isLack = (error: unknown): boolean =>
  error instanceof Error && (('code' in error && LACKS.includes(error.code)) || isLack(error.cause));

/** For `catch`: what can't be read is as good as `otherwise`. @throws what was thrown, for lack of means: it is to be read later. */
export const unlessLack =
  <T>(otherwise: T) =>
  (cause: unknown): T => {
    if (isLack(cause)) throw cause;
    return otherwise;
  };
