/** Work about thousands of containers, in pieces: the caller decides what comes in between. */
export type Pieces<T> = Generator<undefined, T, undefined>;

export function atOnce<T>(pieces: Pieces<T>): T {
  for (;;) {
    const piece = pieces.next();
    if (piece.done === true) return piece.value;
  }
}
