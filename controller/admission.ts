/** Whether a container may start: with its rules, routes and proxies in force, or not at all. */
import { basename, dirname } from 'node:path';
import { formatProblem, isError } from '../policies/problem.ts';
import { parseInterfaceName } from '../render/names.ts';
import { whyNotEnforced } from './explain/why-not-enforced.ts';
import { linkExists } from './host/container-runtime.ts';
import { containerId } from './host/containers.ts';
import type { ContainerRef, KnownContainer } from './host/known-containers.ts';
import { problemsOf } from './pass/assemble.ts';
import type { Outcome } from './pass/outcome.ts';
import type { Session } from './session/session.ts';
import { SessionEnded } from './session/session-ended.ts';

/** The reason is one line, for LXC's log. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly container: string;

  constructor(container: string, reason: string, options?: ErrorOptions) {
    super(reason, options);
    this.container = container;
  }
}

/** `container`: its name, or its folder where several LXC paths have that name. */
export class UnknownContainer extends Error {
  override readonly name = 'UnknownContainer';
}

/** Stands for an interface that is no veth; none can have that name. */
const OTHER = '/';

export interface AdmissionRequest {
  readonly container: string;
  /** Of the NIC that just came up; empty: of all; `OTHER`: it isn't a veth, and none of ours. */
  readonly veth: string;
  /** 0 where it isn't known. */
  readonly initPid: number;
}

export interface Admitted {
  readonly container: string;
  /** Those that are in force now, which may be none where it has no routed NIC. */
  readonly nics: readonly { readonly nic: string; readonly hostVeth: string; readonly addresses: readonly string[] }[];
}

/** Answers the session of the moment: a change of the configuration replaces it. */
export type CurrentSession = () => Session | undefined;

/** A session's successor is made in some milliseconds, or where another backend is to serve, or metrics end, in seconds. */
const SUCCESSOR_MS = { look: 50, most: 10_000 };

/** LXC's hook waits no longer. */
const HOOK_MS = 30_000;

/** @throws Refused, UnknownContainer, Error where the pass failed. */
export async function admit(current: CurrentSession, request: AdmissionRequest): Promise<Admitted> {
  const hint = hintOf(request);
  return await withSession(current, async (session) => {
    const ref = findContainer(session, request.container);
    refuseOthers(session, ref, request.veth);
    const { runtimes } = session.reconciler.reader;
    const id = containerId(ref.lxcPath, ref.name);
    const until = performance.now() + HOOK_MS;
    let outcome = await session.admit(ref, hint);
    while ((await runtimes.settled(id)) && performance.now() < until) outcome = await session.admit(ref, undefined);
    return judge(outcome, session, ref, request);
  });
}

/** Returns when all that was saved before the call has been read. @throws SessionEnded, Error where the pass failed. */
export async function refresh(current: CurrentSession): Promise<void> {
  await withSession(current, (session) => session.refresh());
}

/** @throws UnknownContainer, Error where the pass failed. */
export async function release(current: CurrentSession, container: string, veth: string): Promise<void> {
  await withSession(current, async (session) => {
    await session.release(findContainer(session, container), veth);
  });
}

export async function withSession<T>(current: CurrentSession, work: (session: Session) => Promise<T>): Promise<T> {
  let endedAt: number | undefined;
  for (;;) {
    const session = current();
    if (session === undefined) throw new SessionEnded();
    try {
      return await work(session);
    } catch (cause) {
      endedAt ??= performance.now();
      if (!(cause instanceof SessionEnded) || performance.now() - endedAt > SUCCESSOR_MS.most) throw cause;
      await new Promise((resolve) => setTimeout(resolve, SUCCESSOR_MS.look));
    }
  }
}

function refuseOthers(session: Session, { lxcPath, name }: ContainerRef, veth: string): void {
  const owner = session.reconciler.reader.ownerOf(veth);
  if (owner === undefined || owner.container.id === containerId(lxcPath, name)) return;
  const isInUse = [...owner.runtime.veths.values()].some((used) => used === veth && linkExists(used));
  if (isInUse) throw new Refused(name, `${veth} is ${owner.name}'s`);
}

function hintOf({ container, veth, initPid }: AdmissionRequest) {
  if (veth === '' || veth === OTHER) return initPid === 0 ? undefined : { veth: undefined, initPid };
  const name = parseInterfaceName(veth);
  if (name === undefined) throw new Refused(container, `${JSON.stringify(veth)} is no name that nft can carry`);
  return { veth: name, initPid };
}

function findContainer({ lxcPaths, reconciler }: Session, asked: string): ContainerRef {
  const name = basename(asked);
  if (name === '' || name === '.' || name === '..' || name.length > 255)
    throw new UnknownContainer(`"${asked}" is no name`);
  if (asked.includes('/')) {
    const lxcPath = lxcPaths.find((path) => path === dirname(asked));
    if (lxcPath !== undefined) return { lxcPath, name };
    throw new UnknownContainer(
      `${dirname(asked)} is not among the LXC paths that routewall serves: ${lxcPaths.join(', ')}`,
    );
  }
  const known = [...reconciler.reader.known.values()].filter((each) => each.name === name);
  const [first, second] = known;
  if (second !== undefined) throw new UnknownContainer(`several LXC paths have "${name}": give its folder`);
  const only = lxcPaths.length === 1 ? lxcPaths[0] : undefined;
  // A container that was made a moment ago isn't known yet.
  if (first === undefined && only === undefined) throw new UnknownContainer(`there is no container "${name}"`);
  return first ?? { lxcPath: only ?? '', name };
}

function judge(outcome: Outcome, session: Session, ref: ContainerRef, { veth }: AdmissionRequest): Admitted {
  const known = session.reconciler.reader.known.get(containerId(ref.lxcPath, ref.name));
  if (known === undefined) throw new UnknownContainer(`there is no ${ref.lxcPath}/${ref.name}/config`);
  const { container, name } = known;
  const reason = refusalOf(outcome, known, session.policyFolder);
  if (reason !== undefined) throw new Refused(name, reason);
  const nics = container.endpoints.flatMap(({ key }) => outcome.applied.enforced.nics.get(key) ?? []);
  if (veth === OTHER) return { container: name, nics: [] };
  // Nothing passes it until its hardware address is known, which LXC may only be about to set.
  const waiting = container.endpoints.flatMap(({ key, attachment }) =>
    attachment !== undefined && attachment.mac === undefined ? (known.runtime.veths.get(key) ?? []) : [],
  );
  const has = (name: string): boolean =>
    [...nics.map(({ hostVeth }) => hostVeth), ...waiting].some((one) => one === name);
  if (veth !== '' && !has(veth) && !isBridged(known)) {
    throw new Refused(name, `the kernel doesn't show ${veth} as a veth of this container's`);
  }
  if (veth === '' && nics.length + waiting.length < container.endpoints.length) {
    throw new Refused(name, `only ${nics.length} of its ${container.endpoints.length} interfaces could be found`);
  }
  return { container: name, nics: nics.map(({ nic, hostVeth, owned }) => ({ nic, hostVeth, addresses: owned })) };
}

/** One that hangs on a bridge is none of ours, whatever hook it has; the kernel confirmed that it is the container's. */
const isBridged = ({ container, lxc, runtime }: KnownContainer): boolean =>
  container.endpoints.length === 0 ||
  (runtime.state === 'STARTING' && lxc.nics.filter(({ type }) => type === 'veth').length > container.endpoints.length);

/** A policy that is broken now must not go unnoticed because an earlier one still serves. */
function refusalOf(
  { assembled, applied }: Outcome,
  { container }: KnownContainer,
  policyFolder: string,
): string | undefined {
  const problem = problemsOf(assembled, container).find(isError);
  if (problem !== undefined) return formatProblem(problem, policyFolder);
  const policy = assembled.policies.get(container.id);
  if (policy?.compiled.ok === false) return `${policy.file ?? 'its policy'} has errors`;
  return container.endpoints.flatMap(({ key }) => whyNotEnforced(applied, key) ?? [])[0];
}
