/** The veths of a container that is starting, from what LXC's hook says; the kernel has to confirm it. */
import { type InterfaceName, parseInterfaceName } from '../../render/names.ts';
import { commandSocketNames, plainLxcPath } from '../../watchers/lxc-socket-names.ts';
import type { Run } from '../commands/run.ts';
import { claimedNics, linkExists, type Runtime, type RuntimeQuestion } from './container-runtime.ts';
import { readVethsInto } from './namespace-veths.ts';

export interface Hint {
  /** The host-side veth that LXC named, of one NIC; `undefined` where the hook is for the whole container. */
  readonly veth: InterfaceName | undefined;
  /** The process that will be init, whose network namespace holds the other ends; 0 where it isn't known. */
  readonly initPid: number;
}

/**
 * LXC makes the veths in the order of the NICs' indexes, and before init runs nothing else can have put one into the
 * container's namespace: so the order of those that exist tells which NIC each belongs to.
 * @returns undefined where the kernel doesn't confirm it, or the veth is gone.
 */
export async function readHinted(run: Run, question: RuntimeQuestion, hint: Hint): Promise<Runtime | undefined> {
  const { container, lxc, lxcPath, name } = question;
  if (hint.veth !== undefined && !isNameOf(hint.veth, question)) return undefined;
  const nics = lxc.nics.filter(({ type }) => type === 'veth');
  if (hint.veth !== undefined && !linkExists(hint.veth)) return undefined;
  const sockets = commandSocketNames(plainLxcPath(lxcPath), name);
  const peers = await readPeers(run, hint, nics.length, sockets);
  if (peers === undefined || peers.length > nics.length) return undefined;
  const veths = new Map<string, InterfaceName>();
  for (const [position, nic] of nics.entries()) {
    const endpoint = claimedNics(container).find(({ index }) => index === nic.index);
    const veth = parseInterfaceName(peers[position] ?? '');
    if (endpoint === undefined || veth === undefined) continue;
    if (endpoint.fixedVeth !== undefined && endpoint.fixedVeth !== veth) return undefined;
    veths.set(endpoint.key, veth);
  }
  return { state: 'STARTING', veths, ...(hint.initPid === 0 ? {} : { initPid: hint.initPid }) };
}

/** LXC's own choice, or what the configuration says: an uplink may be a veth too, where the host is a container itself. */
const isNameOf = (veth: string, { lxc }: RuntimeQuestion): boolean =>
  /^veth/.test(veth) || lxc.nics.some(({ vethPair }) => vethPair === veth);

/** The host's veths that lead to where the named one leads, or to the process; in the order in which they were made. */
async function readPeers(
  run: Run,
  { veth, initPid }: Hint,
  nics: number,
  sockets: readonly string[],
): Promise<readonly string[] | undefined> {
  if (veth === undefined) return initPid === 0 ? undefined : await readVethsInto(run, { process: initPid }, sockets);
  const peers = await readVethsInto(run, { veth }, sockets);
  if (peers?.includes(veth) !== true) return undefined;
  // Whatever else leads there, as where two containers share a namespace, is none of its own.
  return nics === 1 ? [veth] : peers;
}
