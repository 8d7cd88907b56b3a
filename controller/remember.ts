/** Keeps a pure function's last result, so that equal arguments give the very same object again. */

/** Arguments are compared by identity. */
export function rememberLast<A extends readonly unknown[], R>(compute: (...args: A) => R): (...args: A) => R {
  let last: { readonly args: A; readonly result: R } | undefined;
  return (...args) => {
    if (last === undefined || args.some((value, index) => value !== last?.args[index])) {
      last = { args, result: compute(...args) };
    }
    return last.result;
  };
}

/** Gives the value of before again while the key is the same. */
export function keepEqual<T>(keyOf: (value: T) => string): (value: T) => T {
  let kept: { readonly value: T; readonly given: T; readonly key: string } | undefined;
  return (given) => {
    if (kept?.given === given) return kept.value;
    const key = keyOf(given);
    kept = { value: kept?.key === key ? kept.value : given, given, key };
    return kept.value;
  };
}
