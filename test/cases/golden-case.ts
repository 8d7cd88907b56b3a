/** One folder of fixtures/cases as the product itself reads a host: files in, ruleset, routing and problems out. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describeUplinks } from '../../controller/apply/uplink-routing.ts';
import { parseDnsAnswers, parseStateRoutes } from '../../controller/cli/state-file.ts';
import { describeContainer } from '../../controller/host/containers.ts';
import { holdByXt } from '../../controller/iptables/unsayable-nics.ts';
import { placed } from '../../controller/json-shape.ts';
import { type Assembled, createAssembler, problemsOf } from '../../controller/pass/assemble.ts';
import { xtFormat } from '../../controller/state/boot-format.ts';
import { chainHash } from '../../policies/chain-hash.ts';
import { defaultConfig, type HostConfig, parseConfig } from '../../policies/config.ts';
import type { Container } from '../../policies/endpoint.ts';
import { type HostLink, parseLinks } from '../../policies/host-network.ts';
import { loadPolicies } from '../../policies/load-policies.ts';
import { formatProblem, type Problem } from '../../policies/problem.ts';
import { readPolicyFiles } from '../../policies/read-policy-files.ts';
import { type DefaultRoute, NO_FACTS } from '../../policies/uplink-facts.ts';
import type { DnsAddresses } from '../../render/dns-name.ts';
import { type InterfaceName, parseInterfaceName } from '../../render/names.ts';
import { chainNaming, renderDesired } from '../../render/nft.ts';
import { atOnce } from '../../render/pieces.ts';
import { diffRouting, type Routing, renderRouting, routingOf } from '../../render/routing.ts';
import { type Ruleset, renderRuleset } from '../../render/ruleset.ts';
import type { LxcConfig, LxcFiles } from '../../watchers/lxc-config/config.ts';
import { readLxcTree } from '../../watchers/lxc-config/lxc-tree.ts';
import { parseLxcConfig } from '../../watchers/lxc-config/parse-config.ts';
import { realFiles } from '../../watchers/lxc-config/real-files.ts';

export const casesFolder = fileURLToPath(new URL('../../fixtures/cases', import.meta.url));

/** When the cases are read: what ends before it has ended, and what ends later is in force. */
const NOW = Date.parse('2026-06-01T00:00:00Z');

export const caseNames = (): string[] => readdirSync(casesFolder).sort();

export interface CaseResult {
  readonly assembled: Assembled;
  readonly links: readonly HostLink[];
  readonly veths: readonly InterfaceName[];
  readonly ruleset: Ruleset;
  /** Expected files by name; `problems.txt` only where there are any. */
  readonly files: ReadonlyMap<string, string>;
}

const nameOf = chainNaming(chainHash);
const NOTHING: Routing = { gateways: [], routes: [], proxies: [] };
/** The path that the case's `lxc` folder stands for, so that no machine's own path gets into problems. */
const LXC_PATH = '/var/lib/lxc';

export async function runCase(name: string): Promise<CaseResult> {
  const folder = `${casesFolder}/${name}`;
  const loaded = loadPolicies(await readPolicyFiles(`${folder}/policies`));
  const state = readState(`${folder}/state.json`);
  const { config, problems } = readConfig(`${folder}/routewall.yaml`);
  const configs = readLxcTree(`${folder}/lxc`).map((container) => ({ name: container, lxc: parse(folder, container) }));
  const containers = configs.map(({ name: container, lxc }) => describeContainer(LXC_PATH, container, lxc));
  const veths = new Map(containers.flatMap((container) => vethsOf(container, state.veths)));
  const { links, answers, defaults } = state;
  const assembled = createAssembler().assemble({
    config,
    loaded,
    containers,
    links,
    veths,
    lastGood: new Map(),
    answers,
    uplinkFacts: { ...NO_FACTS, defaults },
    now: NOW,
  });
  const ruleset = renderDesired(assembled.desired, nameOf);
  const routing = renderRouting(diffRouting(NOTHING, routingOf(assembled.desired)));
  const all = [...problems, ...loaded.problems, ...containers.flatMap((container) => problemsOf(assembled, container))];
  const said = [...new Set(all.map((problem) => formatProblem(problem)))].sort();
  const files = new Map([
    ['ruleset.nft', renderRuleset(ruleset)],
    ['rules.iptables', atOnce(xtFormat('system').render(holdByXt(assembled.desired).state))],
    ['routing.ip', lines(routing)],
  ]);
  const uplinks = describeUplinks(undefined, assembled.desired.host.uplinkTables);
  if (uplinks.length > 0) files.set('uplinks.ip', lines(uplinks));
  if (said.length > 0) files.set('problems.txt', lines(said));
  return { assembled, links, veths: [...veths.values()], ruleset, files };
}

const lines = (list: readonly string[]): string => list.map((line) => `${line}\n`).join('');

function readConfig(file: string): { config: HostConfig; problems: readonly Problem[] } {
  const text = realFiles.read(file);
  if (text === undefined) return { config: defaultConfig, problems: [] };
  const { config, problems } = parseConfig('routewall.yaml', text);
  return { config: config ?? defaultConfig, problems };
}

function parse(folder: string, name: string): LxcConfig {
  const real = (path: string): string => `${folder}/lxc${path.slice(LXC_PATH.length)}`;
  const files: LxcFiles = { read: (file) => realFiles.read(real(file)), list: (path) => realFiles.list(real(path)) };
  const lxc = parseLxcConfig(`${LXC_PATH}/${name}/config`, files);
  if (lxc === undefined) throw new Error(`${name}: no configuration`);
  return lxc;
}

interface State {
  /** By container, then by the NIC's name or index; nothing for a container that doesn't run. */
  readonly veths: ReadonlyMap<string, Readonly<Record<string, unknown>>>;
  readonly links: readonly HostLink[];
  /** By name: what DNS told. */
  readonly answers: DnsAddresses;
  readonly defaults: readonly DefaultRoute[];
}

function readState(file: string): State {
  const state: unknown = JSON.parse(readFileSync(file, 'utf8'));
  const { containers, links, dns, routes } = fieldsOf(state);
  const running = Object.entries(fieldsOf(containers)).filter(([, entry]) => fieldsOf(entry)['state'] === 'RUNNING');
  return {
    veths: new Map(running.map(([name, entry]) => [name, fieldsOf(fieldsOf(entry)['veths'])])),
    links: parseLinks(links),
    answers: parseDnsAnswers(placed(dns ?? {}, 'dns')),
    defaults: parseStateRoutes(placed(routes, 'routes')),
  };
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {};
}

function vethsOf({ name, endpoints }: Container, veths: State['veths']): [string, InterfaceName][] {
  const running = veths.get(name) ?? {};
  return endpoints.flatMap(({ key, nic, index }): [string, InterfaceName][] => {
    const veth = parseInterfaceName(String(running[nic] ?? running[String(index)] ?? ''));
    return veth === undefined ? [] : [[key, veth]];
  });
}
