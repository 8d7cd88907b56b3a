/** Bridges that containers hang on, and which of two NICs may send from a hardware address that both have. */
import type { HostState, NicState } from '../render/desired.ts';
import type { Mac } from '../render/mac.ts';
import { parseMac } from '../render/mac.ts';
import { parseInterfaceName } from '../render/names.ts';
import type { Container } from './endpoint.ts';
import type { HostNetwork } from './host-network.ts';
import type { NicPlan } from './nic-plans.ts';
import type { Problem } from './problem.ts';
import type { RunningInput } from './running-nics.ts';

/** Nothing where no configuration names a bridge: then there is no bridge table either. */
export function describeBridges(containers: readonly Container[], { links }: HostNetwork): Pick<HostState, 'bridges'> {
  const named = containers.flatMap(({ endpoints }) => endpoints.flatMap(({ attachment }) => attachment?.bridge ?? []));
  if (named.length === 0) return {};
  const bridges = [...new Set(named)].sort().map((name) => {
    const mac = parseMac(links.get(name)?.mac ?? '');
    return mac === undefined ? { name } : { name, mac };
  });
  const ours = new Set<string | undefined>([undefined, ...named]);
  const elsewhere = [...links.values()].filter(({ master }) => !ours.has(master)).map(({ name }) => name);
  return {
    bridges: { bridges, elsewhere: elsewhere.sort().flatMap((name) => parseInterfaceName(name) ?? []) },
  };
}

export interface Refused {
  readonly message: string;
  readonly severity: Problem['severity'];
}

/**
 * By endpoint key, why a running NIC on a bridge gets nothing: what it sends would be taken for another NIC's, or it isn't known
 * what it may send from. A NIC that has a hardware address keeps it; else the first one by key gets it.
 */
export function refuseAttachments(
  plans: ReadonlyMap<string, NicPlan>,
  { veths, network }: RunningInput,
  held: (key: string) => NicState | undefined,
): Map<string, Refused> {
  const refused = new Map<string, Refused>();
  const running = [...veths.keys()].flatMap((key) => [plans.get(key) ?? []].flat());
  const bridged = running.filter(({ endpoint: { attachment } }) => attachment !== undefined);
  if (bridged.length === 0) return refused;
  const macsOfHost = new Map([...network.links.values()].map(({ mac, name }) => [mac, name]));
  const owners = new Map<Mac, NicPlan>();
  const holds = ({ endpoint: { key, attachment } }: NicPlan): boolean => held(key)?.port?.mac === attachment?.mac;
  const ordered = [...bridged].sort(
    (a, b) => Number(holds(b)) - Number(holds(a)) || (a.endpoint.key < b.endpoint.key ? -1 : 1),
  );
  for (const plan of ordered) {
    const reason = whyRefused(plan, macsOfHost, owners);
    if (reason !== undefined) refused.set(plan.endpoint.key, reason);
  }
  return refused;
}

function whyRefused(
  plan: NicPlan,
  macsOfHost: ReadonlyMap<string, string>,
  owners: Map<Mac, NicPlan>,
): Refused | undefined {
  const { nic, index, attachment } = plan.endpoint;
  const mac = attachment?.mac;
  if (mac === undefined) {
    const message = `the hardware address of ${nic} isn't known, so it gets nothing: set lxc.net.${index}.hwaddr`;
    return { message, severity: 'warning' };
  }
  if (plan.uplink !== undefined) {
    const message = `${nic} stays shut: a NIC on a bridge can't have uplink ${plan.uplink.dev}; take it out, or give ${nic} its own under "interfaces"`;
    return { message, severity: 'error' };
  }
  const link = macsOfHost.get(mac);
  const rival = owners.get(mac);
  const owner = link === undefined ? rival && `container ${rival.container.name}` : `${link} of this host`;
  if (owner === undefined) owners.set(mac, plan);
  else return { message: `${mac} is the hardware address of ${owner}: set another hwaddr`, severity: 'error' };
  return undefined;
}
