/** `routewall render`: the ruleset and the routing that follow from the files, as text. */
import { chainHash } from '../../policies/chain-hash.ts';
import type { HostConfig } from '../../policies/config.ts';
import { isError, uniqueProblems } from '../../policies/problem.ts';
import type { DesiredState, Sysctl } from '../../render/desired.ts';
import { chainNaming, renderDesired } from '../../render/nft.ts';
import { atOnce } from '../../render/pieces.ts';
import { renderRouting, routingOf } from '../../render/routing.ts';
import { renderRuleset } from '../../render/ruleset.ts';
import { renderTraffic, trafficOf } from '../../render/traffic.ts';
import { describeUplinks } from '../apply/uplink-routing.ts';
import { holdByXt } from '../iptables/unsayable-nics.ts';
import { problemsOf } from '../pass/assemble.ts';
import { xtFormat } from '../state/boot-format.ts';
import { EXIT } from './exit.ts';
import type { Invocation } from './options.ts';
import { placeProblems, printProblems } from './print-problems.ts';
import { readHost, selectContainers } from './read-host.ts';
import type { RenderOptions } from './render-options.ts';
import { VERSION } from './version.ts';

export async function runRender(invocation: Invocation, { what, backend }: RenderOptions): Promise<number> {
  const { io, shared, errColours } = invocation;
  const host = await readHost(invocation);
  const assembled = host.assembler.assemble(host.inputs);
  const containers = selectContainers(host.containers, shared.names).map(({ container }) => container);
  const rendered = renderAll(
    restrict(assembled.desired, new Set(containers.map(({ id }) => id))),
    what === 'nft' ? 'nftables' : backend === 'auto' ? configured(host.config) : backend,
  );
  const problems = uniqueProblems(containers.flatMap((container) => problemsOf(assembled, container)));
  printProblems(io.err, errColours, placeProblems(problems, shared.shown.policies));
  io.out.write(shared.json ? `${JSON.stringify(rendered, null, 2)}\n` : asText(rendered, what));
  return problems.some(isError) ? EXIT.no : EXIT.fine;
}

/** Without a look at the kernel. */
const configured = ({ backend }: HostConfig): RenderedBackend => (backend === 'auto' ? 'nftables' : backend);

type RenderedBackend = Exclude<RenderOptions['backend'], 'auto'>;

interface Rendered {
  readonly backend: RenderedBackend;
  readonly ruleset: string;
  readonly routing: readonly string[];
  readonly sysctls: readonly Pick<Sysctl, 'key' | 'value' | 'reason'>[];
  /** Limits and wires: interfaces for ip, then lines for tc. */
  readonly traffic: { readonly links: readonly string[]; readonly tc: readonly string[] };
  /** Each as it follows `ip`; only where a container has an uplink. */
  readonly uplinks?: readonly string[];
}

/** Sorted, so that equal input gives equal text whatever the order of reading. */
export function restrict(desired: DesiredState, ids: ReadonlySet<string>): DesiredState {
  const nics = [...desired.nics].filter(([key]) => ids.has(key.slice(0, key.lastIndexOf('/'))));
  return { ...desired, nics: new Map(nics.sort(([a], [b]) => (a < b ? -1 : 1))) };
}

function renderAll(desired: DesiredState, backend: RenderedBackend): Rendered {
  const nothing = { gateways: [], routes: [], proxies: [] };
  const uplinks = describeUplinks(undefined, desired.host.uplinkTables);
  const sysctls = new Map([...desired.nics.values()].flatMap((nic) => nic.sysctls).map((entry) => [entry.key, entry]));
  return {
    backend,
    ruleset: renderRules(desired, backend),
    routing: renderRouting({ add: routingOf(desired), remove: nothing }),
    sysctls: [...sysctls.values()].map(({ key, value, reason }) => ({ key, value, reason })),
    traffic: renderTraffic(trafficOf(desired)),
    ...(uplinks.length > 0 && { uplinks }),
  };
}

function renderRules(desired: DesiredState, backend: RenderedBackend): string {
  if (backend === 'nftables') return renderRuleset(renderDesired(desired, chainNaming(chainHash)));
  const commands = backend === 'iptables' ? 'system' : backend === 'iptables-legacy' ? 'legacy' : 'nft';
  return atOnce(xtFormat(commands).render(holdByXt(desired).state));
}

function asText(
  { backend, ruleset, routing, sysctls, traffic, uplinks = [] }: Rendered,
  what: RenderOptions['what'],
): string {
  const settings = sysctls.map(({ key, value, reason }) => `# sysctl ${key} = ${value}  (${reason})`);
  const purpose = backend === 'nftables' ? 'the nftables ruleset, for nft -f' : `the rules by ${backend}, for sh`;
  const rules = `# routewall ${VERSION}: ${purpose}\n${ruleset}`;
  const ip = [
    ...(uplinks.length > 0 ? ['# routewall: uplinks, before the ruleset, each line as it follows ip'] : []),
    ...uplinks.map((line) => `# ip ${line}`),
    '# routewall: sysctls, then routes, gateways and neighbour proxies, for ip -force -batch',
    ...settings,
    ...routing,
    ...traffic.links,
    ...(traffic.tc.length === 0 ? [] : ['# routewall: limits and wires, for tc -force -batch', ...traffic.tc]),
  ];
  switch (what) {
    case 'rules':
    case 'nft':
      return rules;
    case 'routing':
      return `${ip.join('\n')}\n`;
    case 'all':
      return `${rules}\n${ip.join('\n')}\n`;
  }
}
