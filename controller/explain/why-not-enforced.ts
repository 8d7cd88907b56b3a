/** What keeps one interface from all that it shall have. */
import type { Applied } from '../apply/applied.ts';

/** A sentence; `undefined` where its rules, routes and proxies are in force. `key`: a NIC's. */
export function whyNotEnforced(
  { unheld, refused, unrouted }: Pick<Applied, 'unheld' | 'refused' | 'unrouted'>,
  key: string,
): string | undefined {
  const said = refused.get(key);
  return unheld.get(key) ?? (said === undefined ? unrouted.get(key) : `its rules are refused: ${said}`);
}
