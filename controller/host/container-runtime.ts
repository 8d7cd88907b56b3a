/** Finds the host-side veths of a running container: from its configuration, from LXC, or from the kernel; never guessed. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { Container, Endpoint } from '../../policies/endpoint.ts';
import { type InterfaceName, parseInterfaceName } from '../../render/names.ts';
import type { LxcConfig } from '../../watchers/lxc-config/config.ts';
import { CommandError, type Run } from '../commands/run.ts';
import { isLack } from '../state/lack.ts';
import { askMonitor, type MonitorAnswer } from './monitor.ts';
import { readVethsInto } from './namespace-veths.ts';

export interface Runtime {
  /** As LXC says it, but that a frozen one is RUNNING: STOPPED, STARTING, STOPPING, … */
  readonly state: string;
  /** By endpoint key; only NICs that are claimed, and only links that exist. */
  readonly veths: ReadonlyMap<string, InterfaceName>;
  /** Where a hook told it, while init waits. */
  readonly initPid?: number;
}

export interface RuntimeQuestion {
  readonly lxcPath: string;
  readonly name: string;
  readonly lxc: LxcConfig;
  readonly container: Container;
  /** What the last reading found. */
  readonly before: Runtime | undefined;
  /** Whether several configurations fix that name, so that a link of that name doesn't tell whose it is. */
  readonly isAmbiguous?: (veth: InterfaceName) => boolean;
  /** Which links exist, where that was listed; else the kernel is asked about each. */
  readonly exists?: LinkExists | undefined;
  /** Nobody listens for it any more: there is no one to ask. */
  readonly isSilent?: boolean;
  /** As LXC told: links that exist don't tell that it runs. */
  readonly isOver?: boolean;
  /** As LXC told, since `before`: of links that it found, only a name that the configuration has tells anything. */
  readonly isRestarted?: boolean;
}

type ClaimedNic = Pick<Endpoint, 'key' | 'index' | 'fixedVeth'>;

/** Those whose host-side veths matter here: by their policies, or as ends of wires. */
export const claimedNics = ({ endpoints, wired = [] }: Container): readonly ClaimedNic[] =>
  wired.length === 0 ? endpoints : [...endpoints, ...wired];

export const STOPPED: Runtime = { state: 'STOPPED', veths: new Map() };

export type LinkExists = (name: InterfaceName) => boolean;

/** /proc/sys/net shows the reader's own network namespace, which /sys does only where it was mounted anew. */
const LINKS = '/proc/sys/net/ipv4/conf';

export const linkExists: LinkExists = (name) => existsSync(`${LINKS}/${name}`);

/** What `linkExists` says of each at this moment, for who asks about thousands. */
export function listLinks(): LinkExists {
  try {
    const names: ReadonlySet<string> = new Set(readdirSync(LINKS));
    return (name) => names.has(name);
  } catch {
    return linkExists;
  }
}

/** The name with the kernel's number of it, which no other link ever gets; without IPv6 in the kernel, the name. */
export function linkIdentity(name: InterfaceName): string {
  try {
    return `${name} ${/\d+/.exec(readFileSync(`/proc/net/dev_snmp6/${name}`, 'utf8'))?.[0]}`;
  } catch (cause) {
    // Else it would be another one for the moment.
    if (isLack(cause)) throw cause;
    return name;
  }
}

/** Costs no fork where every routed NIC has a fixed name, or where all that was found before still exists. */
export async function readRuntime(run: Run, question: RuntimeQuestion): Promise<Runtime> {
  const { container, before, isAmbiguous, exists = linkExists, isOver, isRestarted } = question;
  const nics = claimedNics(container);
  if (isOver === true || hasAmbiguous(nics, isAmbiguous)) return askLxc(run, question);
  const fixed = runtimeByName(nics, exists);
  if (fixed !== undefined) return fixed;
  if (isRestarted !== true && before !== undefined && hasAll(nics, before) && allExist(before.veths))
    // STARTING is what a hook said; its word no longer counts once LXC itself has told a state.
    return before.state === 'STARTING' ? { ...before, state: 'RUNNING' } : before;
  return askLxc(run, question);
}

/** As `readRuntime` where the names of its links tell; `undefined` where they don't. */
export function readNamedRuntime(
  container: Container,
  isAmbiguous: RuntimeQuestion['isAmbiguous'],
  exists: LinkExists,
): Runtime | undefined {
  const nics = claimedNics(container);
  return hasAmbiguous(nics, isAmbiguous) ? undefined : runtimeByName(nics, exists);
}

const hasAmbiguous = (nics: readonly ClaimedNic[], isAmbiguous: RuntimeQuestion['isAmbiguous']): boolean =>
  nics.some(({ fixedVeth }) => fixedVeth !== undefined && isAmbiguous?.(fixedVeth) === true);

function runtimeByName(nics: readonly ClaimedNic[], exists: LinkExists): Runtime | undefined {
  const veths = new Map<string, InterfaceName>();
  for (const { key, fixedVeth } of nics) {
    if (fixedVeth === undefined || !exists(fixedVeth)) return undefined;
    veths.set(key, fixedVeth);
  }
  return veths.size === 0 ? undefined : { state: 'RUNNING', veths };
}

const hasAll = (nics: readonly ClaimedNic[], { veths }: Runtime): boolean =>
  veths.size > 0 && veths.size === nics.length;

const allExist = (veths: ReadonlyMap<string, InterfaceName>): boolean => [...veths.values()].every(linkExists);

/** Whether a link that exists tells that the container has it. */
export const hasNamedLink = (
  container: Container,
  isAmbiguous: (veth: InterfaceName) => boolean,
  exists: LinkExists = linkExists,
): boolean =>
  claimedNics(container).some(
    ({ fixedVeth }) => fixedVeth !== undefined && !isAmbiguous(fixedVeth) && exists(fixedVeth),
  );

/** Whether another reading would give the same without asking LXC, while the links are the same. */
export const needsNoAnswer = (container: Container, runtime: Runtime): boolean =>
  hasAll(claimedNics(container), runtime) && runtime.state !== 'STARTING';

/** Whether it ran when it was last looked at, and its links, if it has any, don't tell that it still does. */
export const mayHaveEnded = ({ state, veths }: Runtime): boolean =>
  state !== 'STOPPED' && state !== 'STARTING' && (veths.size === 0 || !allExist(veths));

async function askLxc(run: Run, question: RuntimeQuestion): Promise<Runtime> {
  const { container } = question;
  if (question.isSilent === true) return STOPPED;
  const answer = await readAnswer(run, question);
  if (answer === undefined) return STOPPED;
  const { state, pid, links } = answer;
  const { length } = claimedNics(container);
  if (pid === undefined || length === 0) return { state, veths: new Map() };
  const [first] = question.lxc.nics;
  // Started into another's namespace by an option of lxc-start, it has no veth either, and the peers there are that one's.
  const isElsewhere = first?.index === 0 && first.type === 'veth' && links.length === 0 && state !== 'STARTING';
  if (isElsewhere) return { state, veths: new Map() };
  const named = namedVeths(question, links);
  const veths = named.size === length ? named : await vethsByPeer(run, question, pid, named);
  return { state, veths: new Map([...veths].filter(([, veth]) => linkExists(veth))) };
}

/** @throws CommandError where what it began with can't be what the configuration says now */
async function readAnswer(run: Run, { lxcPath, name, lxc }: RuntimeQuestion): Promise<MonitorAnswer | undefined> {
  const answer = lxc.readable ? await askMonitor(run, { lxcPath, name }) : undefined;
  if (answer !== undefined && !lxc.loadable) throw new CommandError(`${name}: LXC can't load its configuration`);
  return answer;
}

/** LXC lists a link for every NIC, whatever its type, in the order of their indexes until one is missing. */
function namedVeths(
  { lxc, container, exists = linkExists }: RuntimeQuestion,
  links: readonly string[],
): Map<string, InterfaceName> {
  const veths = new Map<string, InterfaceName>();
  for (const [position, nic] of lxc.nics.entries()) {
    if (nic.index !== position) break;
    const endpoint = claimedNics(container).find(({ index }) => index === nic.index);
    const veth = parseInterfaceName(links[position] ?? '');
    // Renamed since, it is found by its peer.
    if (endpoint !== undefined && veth !== undefined && exists(veth)) veths.set(endpoint.key, veth);
  }
  return veths;
}

/**
 * The host's veths whose peers are in the container's network namespace. LXC makes them in the order of their
 * indexes, and no container can move a veth into the host's namespace, so their order tells which is which; where the
 * numbers don't agree, nothing is claimed beyond what LXC said.
 */
async function vethsByPeer(
  run: Run,
  { lxc, container }: RuntimeQuestion,
  pid: number,
  named: Map<string, InterfaceName>,
): Promise<Map<string, InterfaceName>> {
  const peers = await readVethsInto(run, { process: pid });
  const nics = lxc.nics.filter(({ type }) => type === 'veth');
  if (peers?.length !== nics.length) return named;
  const found = new Map(named);
  for (const [position, nic] of nics.entries()) {
    const endpoint = claimedNics(container).find(({ index }) => index === nic.index);
    const veth = parseInterfaceName(peers[position] ?? '');
    if (endpoint !== undefined && veth !== undefined) found.set(endpoint.key, veth);
  }
  return found;
}
