/** NICs of a running container that its configuration no longer has so: LXC reads it again only at the next start. */
import type { Container, Endpoint } from '../../policies/endpoint.ts';
import type { InterfaceName } from '../../render/names.ts';
import { linkExists, linkIdentity, type Runtime } from './container-runtime.ts';

/** By endpoint key: which link it was kept for. */
export type KeptNics = ReadonlyMap<string, string>;

interface Running {
  readonly container: Container;
  readonly runtime: Runtime;
  readonly kept?: KeptNics;
}

/**
 * The container as it is configured now, but with NICs that still run otherwise as they were: left out, their links would belong
 * to no container, and be open. `linkOf`: the identity of the link that was found by a name, where another may get the name.
 */
export function keepRunningNics(
  container: Container,
  before: Running | undefined,
  linkOf: (veth: InterfaceName) => string | undefined,
): { readonly container: Container; readonly kept?: KeptNics } {
  if (before === undefined || before.runtime.veths.size === 0) return { container };
  const kept = new Map<string, string>();
  const old = before.container.endpoints.filter((endpoint) => {
    const veth = before.runtime.veths.get(endpoint.key);
    if (veth === undefined || isKind(endpoint, container)) return false;
    if (!isSameLink(veth, before.kept?.get(endpoint.key) ?? linkOf(veth))) return false;
    kept.set(endpoint.key, linkIdentity(veth));
    return true;
  });
  if (old.length === 0) return { container };
  const others = container.endpoints.filter(({ key }) => !kept.has(key));
  const endpoints = [...others, ...old].sort((a, b) => a.index - b.index);
  const problems = old.map(({ nic }) => ({
    ...{ file: container.file, line: 1, column: 1, severity: 'warning' as const },
    message: `has no NIC ${nic} of that kind any more: what runs keeps its addresses and rules until it stops`,
  }));
  return { container: { ...container, endpoints, problems: [...container.problems, ...problems] }, kept };
}

/** Whether a NIC of the same kind stands there still: routed, or on a bridge. */
const isKind = ({ key, attachment }: Endpoint, { endpoints }: Container): boolean =>
  endpoints.some((now) => now.key === key && (now.attachment === undefined) === (attachment === undefined));

const isSameLink = (veth: InterfaceName, identity: string | undefined): boolean =>
  linkExists(veth) && (identity === undefined || linkIdentity(veth) === identity);
