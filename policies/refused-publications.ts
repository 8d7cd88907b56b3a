/** Whether a policy lets anybody reach what it publishes. */
import type { Family } from '../render/address.ts';
import type { PolicyChain } from '../render/rule.ts';
import type { CompiledPublication } from './compile-nat.ts';
import { spansOfService } from './flows/service-line.ts';
import { intersectSpans, subtractSpans } from './flows/spans.ts';

/**
 * Only where it is certain: a rule that allows some of it counts, also where rules before it refuse all of its peers.
 * What is observed passes.
 */
export const isRefused = (
  ingress: PolicyChain,
  publication: CompiledPublication,
  families: readonly Family[],
): boolean => ingress.observe === undefined && families.every((family) => isRefusedIn(ingress, publication, family));

function isRefusedIn(
  { rules, default: { verdict } }: PolicyChain,
  { protocol, ports, toPort }: CompiledPublication,
  family: Family,
): boolean {
  const led = [{ first: toPort, last: toPort + ports.last - ports.first }];
  let left = spansOfService({ kind: 'ports', protocol, ports: led }, family);
  for (const { family: only, peer, service, action, until } of rules) {
    if (only !== undefined && only !== family) continue;
    if (peer.kind === 'ranges' && (peer.family !== family || peer.ranges.length === 0)) continue;
    const met = intersectSpans(spansOfService(service, family), left);
    if (action === 'allow' && met.length > 0) return false;
    const takesAll = peer.kind === 'any' && until === undefined;
    if ((action === 'drop' || action === 'reject') && takesAll) left = subtractSpans(left, met);
  }
  return left.length === 0 || verdict !== 'allow';
}
