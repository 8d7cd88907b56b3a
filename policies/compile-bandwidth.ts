/** How much of the network a NIC may take: `limits:` of a policy and of its profiles. */
import type { Bandwidth } from '../render/desired.ts';
import { parseBitRate } from './bit-rate.ts';
import type { CompileContext, Layer } from './compile-context.ts';
import type { Path } from './places.ts';
import type { Limits } from './policy.gen.ts';
import { shownFile } from './policy-files.ts';

/**
 * The container's own file first; per direction, the first that says something decides. `nic`: its own limits in any
 * file come before those of the whole container. @returns undefined where nobody limits it.
 */
export function compileBandwidth(
  layers: readonly Layer[],
  { report }: CompileContext,
  nic?: string,
): Bandwidth | undefined {
  const own = nic === undefined ? [] : layers.map((layer) => ({ layer, path: ['interfaces', nic, 'limits'] }));
  const places = [...own, ...layers.map((layer) => ({ layer, path: ['limits'] }))];
  const rateOf = (direction: keyof Limits): Bandwidth['egress'] => {
    for (const { layer, path } of places) {
      const text = limitsAt(layer, path)?.[direction];
      if (text === undefined) continue;
      const rate = parseBitRate(text);
      const { document } = layer;
      if (typeof rate === 'string') report(document.problemAt([...path, direction], rate));
      else {
        const { line } = document.placeOf([...path, direction], 'key');
        return { rate, origin: { file: shownFile(document.file), line } };
      }
    }
    return undefined;
  };
  const [egress, ingress] = [rateOf('egress'), rateOf('ingress')];
  if (egress === undefined && ingress === undefined) return undefined;
  return { ...(egress && { egress }), ...(ingress && { ingress }) };
}

const limitsAt = ({ policy }: Layer, path: Path): Limits | undefined =>
  path[0] === 'interfaces' ? policy.interfaces?.[String(path[1])]?.limits : policy.limits;
