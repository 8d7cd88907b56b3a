/** `routewall doctor`: what on this host works against the policies; reads, and neither changes nor loads anything. */
import { access, readFile } from 'node:fs/promises';
import { createAssembler } from '../assemble.ts';
import { nicKind, nicName } from '../containers.ts';
import { examineFlows } from '../doctor/examine-flows.ts';
import { examineHost, type HostFacts } from '../doctor/examine-host.ts';
import { examineNetworks } from '../doctor/examine-networks.ts';
import type { Finding } from '../doctor/finding.ts';
import { type ForeignChain, parseForeignChains } from '../doctor/foreign-ruleset.ts';
import { parseJson } from '../json-shape.ts';
import { type Run, runOrThrow } from '../run.ts';
import { EXIT } from './exit.ts';
import type { Colours } from './io.ts';
import type { Invocation } from './options.ts';
import { type CliHost, readHostInForce, selectContainers } from './read-host.ts';

export async function runDoctor(invocation: Invocation): Promise<number> {
  const { io, shared, colours } = invocation;
  const run = await io.loadRun();
  const host = await readHostInForce(invocation);
  const names = new Set(selectContainers(host.containers, shared.names).map(({ container }) => container.name));
  const { desired, network } = createAssembler().assemble(host.inputs);
  const uplinks = [...new Set(network.onLink.map(({ dev }) => dev))];
  const findings = [
    ...examineFlows(desired.nics.values(), { chains: await readForeignChains(run), uplinks }),
    ...examineNetworks(host.inputs.containers),
    ...examineHost(await readFacts(host, uplinks)),
  ].filter(({ container }) => container === null || names.has(container));
  if (shared.json) io.out.write(`${JSON.stringify(findings, null, 2)}\n`);
  else
    io.out.write(
      findings.length === 0
        ? 'nothing works against the policies\n'
        : findings.map((one) => text(one, colours)).join(''),
    );
  return findings.some(({ severity }) => severity !== 'note') ? EXIT.no : EXIT.fine;
}

function text({ severity, container, message, mend }: Finding, colours: Colours): string {
  const colour = { error: colours.red, warning: colours.yellow, note: colours.dim }[severity];
  const head = `${colour(`${severity}:`)} ${container === null ? '' : `${container}: `}${message}\n`;
  return mend === null ? head : `${head}    ${mend}\n`;
}

/** Without what is in sets, which can be millions. */
async function readForeignChains(run: Run): Promise<ForeignChain[]> {
  const { value } = parseJson(await runOrThrow(run, 'nft', ['-j', '-t', 'list', 'ruleset'], { timeout: 120_000 }));
  return parseForeignChains(value);
}

async function readFacts({ containers }: CliHost, uplinks: readonly string[]): Promise<HostFacts> {
  const values = new Map<string, string>();
  for (const key of SYSCTLS) {
    const value = await readText(`/proc/sys/${key}`);
    if (value !== undefined) values.set(key, value);
  }
  return {
    // The kernel's own list: iptables-legacy itself would load what it asks for.
    legacyTables: { 4: await readWords('/proc/net/ip_tables_names'), 6: await readWords('/proc/net/ip6_tables_names') },
    sysctl: (key) => values.get(key),
    uplinks,
    hasIpv6: containers.some(({ container }) =>
      container.endpoints.some(({ addresses }) => addresses.some((one) => one.includes(':'))),
    ),
    missing: await missingPrograms(),
    unfiltered: containers.flatMap(({ container, lxc }) =>
      lxc.nics
        .filter((nic) => nicKind(nic) === 'bridged')
        .map((nic) => ({ container: container.name, nic: nicName(nic), type: `a veth on the bridge ${nic.link}` })),
    ),
  };
}

const SYSCTLS = [
  'net/bridge/bridge-nf-call-iptables',
  'net/bridge/bridge-nf-call-ip6tables',
  'net/bridge/bridge-nf-call-arptables',
  'net/ipv4/conf/all/rp_filter',
  'net/ipv6/conf/all/forwarding',
];

const PROGRAMS = [
  { program: 'nft', why: 'nothing is filtered', package: 'nftables' },
  { program: 'ip', why: 'no routes', package: 'iproute2' },
  { program: 'conntrack', why: 'connections that a policy no longer allows go on', package: 'conntrack' },
  { program: 'lxc-info', why: 'nobody tells what runs', package: 'lxc' },
  { program: 'lxc-monitor', why: 'starts are seen late', package: 'lxc' },
  { program: 'perl', why: 'no readiness, no announcements', package: 'perl-base' },
];

async function missingPrograms(): Promise<HostFacts['missing']> {
  const folders = `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/bin:/sbin:/bin`
    .split(':')
    .filter((folder) => folder !== '');
  const isThere = (program: string): Promise<boolean> =>
    Promise.any(folders.map((folder) => access(`${folder}/${program}`))).then(
      () => true,
      () => false,
    );
  const found = await Promise.all(PROGRAMS.map(({ program }) => isThere(program)));
  return PROGRAMS.filter((_, index) => found[index] !== true);
}

const readWords = async (file: string): Promise<string[]> =>
  ((await readText(file)) ?? '').split('\n').filter((word) => word !== '');

const readText = (file: string): Promise<string | undefined> =>
  readFile(file, 'utf8').then(
    (content) => content.trim(),
    () => undefined,
  );
