/** What keeps one interface from all that it shall have. */
import type { Applied } from '../apply/apply.ts';

/** A sentence; `undefined` where its rules, routes and proxies are in force. `key`: a NIC's. */
export function whyNotEnforced(
  { refused, unrouted }: Pick<Applied, 'refused' | 'unrouted'>,
  key: string,
): string | undefined {
  const byNft = refused.get(key);
  return byNft === undefined ? unrouted.get(key) : `its rules are refused: ${byNft}`;
}
