/** routewall.yaml: what routewall is told about this host, with every default filled in. */
import {
  type InterfaceName,
  type InterfacePattern,
  parseInterfaceName,
  parseInterfacePattern,
} from '../render/names.ts';
import type { WithoutPolicy } from './compile-policy.ts';
import type { Config } from './config.gen.ts';
import { type DnsConfig, defaultDns, dnsOf } from './dns-config.ts';
import { defaultTextfile, type ListenAddress, parseListenAddress, type Textfile } from './metrics-config.ts';
import { parseContent } from './parse-content.ts';
import type { Path } from './places.ts';
import { problemOf } from './policy-document.ts';
import type { Problem } from './problem.ts';
import { wasRefused } from './read-file.ts';
import { type FileContent, type Finding, maxStructuredBytes, readSourceText } from './source-text.ts';
import { type ConfiguredWire, type EndPlace, wiresOf } from './wires-config.ts';

export interface HostConfig {
  readonly lxcPaths: readonly string[];
  readonly uplinks: 'auto' | readonly InterfaceName[];
  readonly guard: readonly InterfacePattern[];
  readonly withoutPolicy: WithoutPolicy;
  /** Whether a network that no policy can be enforced on keeps a container from starting. */
  readonly strict: boolean;
  /** Whether neighbours are asked for an address before it is claimed. */
  readonly probe: boolean;
  /** `false`: policy files that change wait for `apply`. */
  readonly autoApply: boolean;
  readonly log: { readonly group: number | 'kernel'; readonly rate: string };
  readonly connections: { readonly most: number; readonly rate: string; readonly fragments: string };
  readonly metrics: { readonly textfile: Textfile | undefined; readonly listen: ListenAddress | undefined };
  readonly dns: DnsConfig;
  readonly wires: readonly ConfiguredWire[];
  /** Holds the word BRIDGE. */
  readonly leases: string;
  readonly resyncSeconds: number;
  readonly backend: 'auto' | 'nftables' | 'iptables';
}

export interface ParsedConfig {
  /** `undefined` where there are problems: half a configuration might open what the other half would close. */
  readonly config: HostConfig | undefined;
  readonly problems: readonly Problem[];
  /** See `wasRefused`. */
  readonly isRefused?: boolean;
}

export const defaultConfig: HostConfig = {
  lxcPaths: ['/var/lib/lxc'],
  uplinks: 'auto',
  guard: [parseInterfacePattern('veth*')].filter((pattern) => pattern !== undefined),
  withoutPolicy: 'closed',
  strict: false,
  probe: true,
  autoApply: true,
  log: { group: 5, rate: '10/second' },
  connections: { most: 8192, rate: '1000/second', fragments: '2000/second' },
  metrics: { textfile: defaultTextfile, listen: undefined },
  dns: defaultDns,
  wires: [],
  leases: '/var/lib/misc/dnsmasq.BRIDGE.leases',
  resyncSeconds: 60,
  backend: 'auto',
};

/** `file` as problems shall name it; a file that doesn't exist is the caller's to replace by `defaultConfig`. */
export function parseConfig(file: string, content: FileContent): ParsedConfig {
  const source = readSourceText(content, maxStructuredBytes);
  if ('finding' in source)
    return { config: undefined, problems: [problemOf(file, source.finding)], isRefused: wasRefused(content) };
  const { data, places, findings } = parseContent('config', source.text, file.endsWith('.json') ? 'json' : 'yaml');
  const names: Finding[] = [];
  const fail = (path: Path, message: string) => names.push({ ...places.placeOf(path), message });
  const config =
    data === undefined ? undefined : fillDefaults(data, fail, (path) => ({ file, ...places.placeOf(path) }));
  const problems = [...findings, ...names].map((finding) => problemOf(file, finding));
  if (problems.length > 0 || config === undefined) return { config: undefined, problems };
  return {
    config,
    problems: config.backend === 'iptables' ? [iptablesWarning(file, places.placeOf(['backend']))] : [],
  };
}

/** What of the rest of the program knows nftables alone; told wherever iptables serves. */
export const IPTABLES_GAPS =
  'where iptables enforces, nobody records refusals for denials, learn and metrics: see /usr/share/doc/routewall/iptables.md';

const iptablesWarning = (file: string, place: { readonly line: number; readonly column: number }): Problem => ({
  file,
  ...place,
  message: IPTABLES_GAPS,
  severity: 'warning',
});

function fillDefaults(
  data: Config,
  fail: (path: Path, message: string) => void,
  placeOf: (path: Path) => EndPlace,
): HostConfig {
  const { group, rate } = data.log ?? {};
  const uplinks = data.uplinks === undefined ? 'auto' : uplinksOf(data.uplinks, fail);
  return {
    lxcPaths: data.lxcPaths?.map((path) => path.replace(/(.)\/+$/, '$1')) ?? defaultConfig.lxcPaths,
    uplinks,
    guard: data.guard === undefined ? defaultConfig.guard : guardOf(data.guard, fail),
    withoutPolicy: data.withoutPolicy ?? defaultConfig.withoutPolicy,
    strict: data.strict ?? defaultConfig.strict,
    probe: data.probe ?? defaultConfig.probe,
    autoApply: data.autoApply ?? defaultConfig.autoApply,
    log: {
      group: typeof group === 'string' ? 'kernel' : (group ?? defaultConfig.log.group),
      rate: rate ?? defaultConfig.log.rate,
    },
    connections: { ...defaultConfig.connections, ...data.connections },
    metrics: {
      textfile: textfileOf(data.metrics?.textfile),
      listen: data.metrics?.listen === undefined ? undefined : listenOf(data.metrics.listen, fail),
    },
    dns: data.dns === undefined ? defaultDns : dnsOf(data.dns, fail),
    wires: wiresOf(data.wires ?? [], placeOf, uplinks === 'auto' ? [] : uplinks, fail),
    leases: data.leases ?? defaultConfig.leases,
    resyncSeconds: data.resync ?? defaultConfig.resyncSeconds,
    backend: data.backend ?? defaultConfig.backend,
  };
}

function uplinksOf(
  value: string | readonly string[],
  fail: (path: Path, message: string) => void,
): HostConfig['uplinks'] {
  if (value === 'auto') return 'auto';
  const names = typeof value === 'string' ? [value] : value;
  return names.flatMap((text, index) => {
    const name = parseInterfaceName(text);
    const path = typeof value === 'string' ? ['uplinks'] : ['uplinks', index];
    if (name === undefined) fail(path, `"${text}" is no interface name: write auto, or names such as [eth0, eth1]`);
    return name ?? [];
  });
}

function guardOf(patterns: readonly string[], fail: (path: Path, message: string) => void): InterfacePattern[] {
  return patterns.flatMap((text, index) => {
    const pattern = parseInterfacePattern(text);
    if (pattern === undefined) {
      fail(
        ['guard', index],
        `"${text}" is no interface pattern: write a name, or its beginning and *, such as "veth*"`,
      );
    }
    return pattern ?? [];
  });
}

function textfileOf(value: string | undefined): Textfile | undefined {
  if (value === undefined) return defaultTextfile;
  return value === 'none' ? undefined : { path: value, optional: false };
}

function listenOf(value: string, fail: (path: Path, message: string) => void): ListenAddress | undefined {
  const address = parseListenAddress(value);
  if (typeof address === 'object') return address;
  fail(['metrics', 'listen'], address);
  return undefined;
}
