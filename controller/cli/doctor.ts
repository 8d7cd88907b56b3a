/** `routewall doctor`: what on this host works against the policies; reads, and neither changes nor loads anything. */

import { join } from 'node:path';
import type { HostConfig } from '../../policies/config.ts';
import { familyOf } from '../../render/address.ts';
import type { DesiredState } from '../../render/desired.ts';
import { matchesAny } from '../../render/names.ts';
import { BACKEND_MEMORY } from '../apply/backend-memory.ts';
import { chooseBackend } from '../apply/choose-backend.ts';
import type { Run } from '../commands/run.ts';
import { examineBridges } from '../doctor/bridge-neighbours.ts';
import { type BackendFacts, examineBackend } from '../doctor/examine-backend.ts';
import { examineElsewhere } from '../doctor/examine-elsewhere.ts';
import { examineFlows } from '../doctor/examine-flows.ts';
import { examineHost, type HostFacts } from '../doctor/examine-host.ts';
import { examineLxc } from '../doctor/examine-lxc.ts';
import { examineNetworks } from '../doctor/examine-networks.ts';
import { examineSharedVeths } from '../doctor/examine-shared-veths.ts';
import { examineStrangers } from '../doctor/examine-strangers.ts';
import { ipv6Switch } from '../doctor/examine-sysctls.ts';
import type { Finding } from '../doctor/finding.ts';
import { type ForeignRules, readForeignRules } from '../doctor/read-foreign.ts';
import { missingPrograms, readSettings, readSysctls, readVersions } from '../doctor/read-host-facts.ts';
import { isGuarded } from '../explain/flow-sides.ts';
import { readElsewhere } from '../host/elsewhere.ts';
import { messageOf } from '../log.ts';
import { EXIT } from './exit.ts';
import type { Colours } from './io.ts';
import type { Invocation } from './options.ts';
import { type CliHost, readHostInForce, selectContainers } from './read-host.ts';

export async function runDoctor(invocation: Invocation): Promise<number> {
  const { io, shared, colours } = invocation;
  const run = await io.loadRun();
  const host = await readHostInForce(invocation);
  const names = new Set(selectContainers(host.containers, shared.names).map(({ container }) => container.name));
  const { desired, network } = host.assembler.assemble(host.inputs);
  const uplinks = [...new Set(network.onLink.map(({ dev }) => dev))];
  const rules = await readForeignRules(run);
  const facts = await readFacts(run, { rules, desired, uplinks });
  const findings = [
    ...examineFlows(desired.nics.values(), { chains: rules.chains, uplinks, host: { desired, network } }),
    ...examineNetworks(host.inputs.containers),
    ...examineElsewhere(await readElsewhere(host.config.lxcPaths), host.config.lxcPaths),
    ...examineConfigs(host),
    ...examineStrangers({
      links: host.inputs.links,
      isGuarded: (link) => isGuarded({ desired, network }, link),
      claimed: new Set(host.inputs.veths.values()),
    }),
    ...examineBridges(desired.nics.values(), rules.chains, facts.sysctl),
    ...examineHost(facts),
    ...examineBackend({
      chosen: await chosenBackend(run, host.inputs.config),
      holders: rules.holders,
      memory: join(shared.stateDirectory, BACKEND_MEMORY),
    }),
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

const chosenBackend = (run: Run, { backend }: HostConfig): Promise<BackendFacts['chosen']> =>
  chooseBackend(run, backend).catch((cause: unknown) => ({ why: messageOf(cause) }));

function text({ severity, container, message, mend }: Finding, colours: Colours): string {
  const colour = { error: colours.red, warning: colours.yellow, note: colours.dim }[severity];
  const head = `${colour(`${severity}:`)} ${container === null ? '' : `${container}: `}${message}\n`;
  return mend === null ? head : `${head}    ${mend}\n`;
}

/** Containers that nothing is enforced on are their owner's business. */
function examineConfigs({ containers, inputs }: CliHost): Finding[] {
  const isCovered = (veth: string): boolean => matchesAny(veth, inputs.config.guard);
  const configs = containers
    .filter(({ container }) => container.endpoints.length > 0)
    .map(({ container, lxc }) => ({ container: container.name, lxc }));
  return [...configs.flatMap((one) => examineLxc({ ...one, isGuarded: isCovered })), ...examineSharedVeths(configs)];
}

interface Read {
  readonly rules: ForeignRules;
  readonly desired: DesiredState;
  readonly uplinks: readonly string[];
}

async function readFacts(run: Run, { rules, desired, uplinks }: Read): Promise<HostFacts> {
  const needed = [...desired.nics.values()].flatMap(({ container, sysctls }) =>
    sysctls.map((sysctl) => ({ container, sysctl })),
  );
  const ipv6Links = [...desired.nics.values()]
    .filter(({ routes }) => routes.some(({ prefix }) => familyOf(prefix) === 6))
    .map(({ container, hostVeth }) => ({ container, dev: hostVeth }));
  const switches = ['all', 'default', ...ipv6Links.map(({ dev }) => dev)].map(ipv6Switch);
  return {
    unreadTables: rules.unread,
    sysctl: await readSysctls([...switches, ...needed.map(({ sysctl }) => sysctl.key)], uplinks),
    uplinks,
    needed,
    ipv6Links,
    settings: await readSettings(),
    versions: await readVersions(run),
    missing: await missingPrograms(),
  };
}
