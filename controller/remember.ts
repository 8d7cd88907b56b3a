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
