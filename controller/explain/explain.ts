/** The verdict about a flow, and the way to it through every chain and rule, each with its place. */
import { policyOfNic } from '../../policies/compile-policy.ts';
import { describeBounds, describeRule } from '../../policies/describe-rule.ts';
import type { Container, Endpoint, Place } from '../../policies/endpoint.ts';
import { policyPath } from '../../policies/policy-files.ts';
import { type Address, type Family, hostPrefix } from '../../render/address.ts';
import type { DnsName } from '../../render/dns-name.ts';
import { dnsNamesOf } from '../../render/policy-chain.ts';
import type { Origin, Verdict } from '../../render/rule.ts';
import { whySealed } from '../panic/describe-panic.ts';
import { NO_PANIC, type PanicState } from '../panic/panic-state.ts';
import type { Assembled } from '../pass/assemble.ts';
import { type Translation, withTranslation } from './explain-translation.ts';
import { isPastRules, unenforceableSteps } from './explain-unenforceable.ts';
import type { ExplainedRule, ExplainedStep, LineAt } from './explained-step.ts';
import { type FlowParty, findSource, findTarget } from './flow-parties.ts';
import { destinationSide, type FlowHost, type Side, sourceSide } from './flow-sides.ts';
import { type ChainOf, chainInForce, type FlowPacket, type TraceStep, traceFlow } from './trace-flow.ts';
import { findPublished, translated } from './translate-flow.ts';

export type ExplainHost = Pick<Assembled, 'policies'> &
  FlowHost & {
    readonly containers: readonly Container[];
    /** What is sealed; policies alone are asked without it. */
    readonly panic?: PanicState;
    /** By NIC key: why the host's backend can't hold what is desired of it. */
    readonly unheld?: ReadonlyMap<string, string>;
  };

export interface FlowQuestion {
  readonly from: FlowParty;
  readonly to: FlowParty;
  readonly family: Family;
  /** The IP protocol's number. */
  readonly protocol: number;
  /** The destination port. */
  readonly port?: number;
  readonly sourcePort?: number;
  readonly icmpType?: number;
  /** What the sender takes for its address, if not its own. */
  readonly source?: Address;
}

export interface Explanation {
  readonly verdict: Verdict;
  /** As asked: `container:NAME`, `host` or an address. */
  readonly from: string;
  readonly to: string;
  readonly family: Family;
  readonly source: Address | null;
  readonly destination: Address | null;
  /** What address translation makes of it; absent where nothing is translated. */
  readonly translation?: Translation;
  readonly steps: readonly ExplainedStep[];
}

/**
 * Evaluates the chains that render/ renders, for the first packet of a flow; pure. Containers must be in
 * `desired.nics` to be answered for: see assembleAsIfRunning.
 */
export function explainFlow(host: ExplainHost, question: FlowQuestion, lineAt: LineAt = () => undefined): Explanation {
  const { family, source: taken } = question;
  const asked = { from: partyText(question.from), to: partyText(question.to), family };
  const target = findTarget(host, question.to, family);
  const sender = findSource(host, question.from, family, target.address);
  const source = taken ?? sender.address;
  const destination = target.address;
  const beside = unenforceableSteps(host.containers, [question.from, question.to]);
  const missing = missingStep(question, source, destination, family);
  if (missing !== undefined || source === undefined || destination === undefined) {
    const isPast = isPastRules(host.containers, source === undefined ? question.from : question.to);
    const verdict = isPast ? 'allow' : 'drop';
    const steps = [...beside, ...(missing === undefined || isPast ? [] : [missing])];
    return { verdict, ...asked, source: source ?? null, destination: destination ?? null, steps };
  }
  const told = stepsOf(host, question, { source, destination, from: sender.side, lineAt });
  const last = told.steps.at(-1)?.verdict ?? 'allow';
  const verdict = last === 'log' ? 'allow' : last;
  return { verdict, ...asked, source, destination, ...told, steps: [...beside, ...told.steps] };
}

interface Ends {
  readonly source: Address;
  readonly destination: Address;
  /** `undefined`: whoever has the source address. */
  readonly from: Side | undefined;
  readonly lineAt: LineAt;
}

type Told = Pick<Explanation, 'steps' | 'translation'>;

function stepsOf(host: ExplainHost, question: FlowQuestion, ends: Ends): Told {
  const { source, lineAt } = ends;
  const from = ends.from ?? sourceSide(host, source);
  const asked = packetOf(question, source, ends.destination);
  const published = findPublished(host.desired, asked);
  const packet = translated(asked, published);
  const to: Side =
    published === undefined ? destinationSide(host, packet.destination, from) : { kind: 'nic', ...published };
  if (published === undefined && from.kind === 'nic' && to.kind === 'nic' && from.nic.container === to.nic.container) {
    const at = `inside ${from.nic.container}`;
    return { steps: [{ at, verdict: 'allow', rule: null, note: 'it never leaves the container' }] };
  }
  const sealed = [from, to].flatMap((side) => sealedStep(host, side) ?? [])[0];
  if (sealed !== undefined) return { steps: [sealed] };
  const unheld = [from, to].flatMap((side) => unheldStep(host, side) ?? []);
  const shut = unheld.find(({ verdict }) => verdict === 'drop');
  if (shut !== undefined) return { steps: [shut] };
  const trace = traceFlow(host, { packet, from, to }, ownChains(host));
  const steps = trace.map((step) => explainStep(host, step, { from, to, source, lineAt }));
  const told = withTranslation(host, steps, { asked, packet, from, to, published, lineAt });
  return { ...told, steps: [...unheld, ...told.steps] };
}

/** Before everything else, whatever the policies say. */
function sealedStep({ panic = NO_PANIC }: ExplainHost, side: Side): ExplainedStep | undefined {
  if (side.kind !== 'nic') return undefined;
  const { container } = side.nic;
  const note = whySealed(panic, container);
  return note === undefined ? undefined : { at: `panic of ${container}`, verdict: 'drop', rule: null, note };
}

/** Whatever the policy says; one on a bridge can't even be shut. */
function unheldStep({ unheld }: ExplainHost, side: Side): ExplainedStep | undefined {
  const note = side.kind === 'nic' ? unheld?.get(side.key) : undefined;
  if (side.kind !== 'nic' || note === undefined) return undefined;
  const { container, port } = side.nic;
  return { at: `iptables of ${container}`, verdict: port === undefined ? 'drop' : 'log', rule: null, note };
}

function packetOf(question: FlowQuestion, source: Address, destination: Address): FlowPacket {
  const { family, protocol, port, sourcePort, icmpType } = question;
  return {
    family,
    source,
    destination,
    protocol,
    ...(port === undefined ? {} : { port }),
    ...(sourcePort === undefined ? {} : { sourcePort }),
    ...(icmpType === undefined ? {} : { icmpType }),
  };
}

const partyText = (party: FlowParty): string =>
  party.kind === 'container' ? `container:${party.name}` : party.kind === 'host' ? 'host' : party.address;

function missingStep(
  { from, to }: FlowQuestion,
  source: Address | undefined,
  destination: Address | undefined,
  family: Family,
): ExplainedStep | undefined {
  if (source === undefined) {
    const name = from.kind === 'container' ? from.name : partyText(from);
    return { at: `anti-spoofing of ${name}`, verdict: 'drop', rule: null, note: `${name} has no IPv${family} address` };
  }
  if (destination !== undefined) return undefined;
  const name = to.kind === 'container' ? to.name : partyText(to);
  return { at: 'routing', verdict: 'drop', rule: null, note: `${name} has no IPv${family} address` };
}

/** Equal chains are shared and name one file only; the container's own has its own places. */
const ownChains =
  ({ policies, containers }: ExplainHost): ChainOf =>
  (key, nic, direction) => {
    const policy = policies.get(key.slice(0, key.lastIndexOf('/')));
    const endpoint = endpointOf(containers, key);
    if (policy === undefined || endpoint === undefined) return chainInForce(key, nic, direction);
    return policyOfNic(policy.enforced, { name: endpoint.nic, index: endpoint.index })[direction];
  };

const endpointOf = (containers: readonly Container[], key: string): Endpoint | undefined =>
  containers.flatMap(({ endpoints }) => endpoints).find((endpoint) => endpoint.key === key);

interface StepContext {
  readonly from: Side;
  readonly to: Side;
  readonly source: Address;
  readonly lineAt: LineAt;
}

function explainStep(host: ExplainHost, step: TraceStep, context: StepContext): ExplainedStep {
  const { at, verdict, origin, observed } = step;
  const note = observed === undefined ? step.note : `observed, or else: ${observed}`;
  const unresolved = unresolvedNames(host, step, context).map((name) => `dns:${name} is not resolved here`);
  if (origin !== null) {
    const bounds = note ?? (step.rule === null ? undefined : describeBounds(step.rule));
    const rule = ruleOf(step, origin, context.lineAt);
    const notes = [bounds ?? [], unresolved].flat();
    return { at, verdict, rule, ...(notes.length === 0 ? {} : { note: notes.join('; ') }) };
  }
  const place = step.direction === undefined ? placeOfSource(host, step, context) : undefined;
  if (place !== undefined) return { at, verdict, rule: { ...place, text: note ?? '' } };
  return { at, verdict, rule: null, note: [note ?? defaultNote(host, step, context), ...unresolved].join('; ') };
}

/** A refusal by default may be for want of an answer: names of the chain that stand for nothing. */
function unresolvedNames({ desired }: ExplainHost, step: TraceStep, { from, to }: StepContext): DnsName[] {
  const side = step.direction === 'egress' ? from : to;
  if (step.rule !== null || step.verdict === 'allow' || step.direction === undefined || side.kind !== 'nic') return [];
  return dnsNamesOf(side.nic[step.direction]).filter((name) => (desired.dns.get(name) ?? []).length === 0);
}

function ruleOf({ rule, verdict, observed, direction }: TraceStep, origin: Origin, lineAt: LineAt): ExplainedRule {
  const file = policyPath(origin.file);
  const words = rule === null ? `default: ${observed ?? verdict}` : describeRule(rule, direction ?? 'egress');
  return { file, line: origin.line, text: lineAt(file, origin.line)?.trim() || words };
}

/** Where LXC's configuration, or the policy, gives the address that anti-spoofing lets pass. */
function placeOfSource(host: ExplainHost, step: TraceStep, { from, source }: StepContext): Place | undefined {
  if (from.kind !== 'nic' || step.verdict !== 'allow' || !step.at.startsWith('anti-spoofing')) return undefined;
  return endpointOf(host.containers, from.key)?.places.get(hostPrefix(source));
}

function defaultNote({ policies }: ExplainHost, step: TraceStep, { from, to }: StepContext): string {
  const side = step.direction === 'egress' ? from : to;
  const policy = side.kind === 'nic' ? policies.get(side.key.slice(0, side.key.lastIndexOf('/'))) : undefined;
  switch (policy?.status) {
    case 'closed':
      return policy.file === null ? 'it has no policy: nothing passes' : `${policy.file} has errors: nothing passes`;
    case 'open':
      return 'it has no policy, and withoutPolicy is open';
    case 'ok':
    case 'last-good':
    case undefined:
      return step.verdict === 'drop' ? 'no rule matches, and the default is drop' : 'no rule matches';
  }
}

export interface KnownFlow {
  readonly source: Address;
  readonly destination: Address;
  readonly protocol: number;
  readonly port?: number;
  readonly icmpType?: number;
  readonly family: Family;
}

/**
 * What the rules say to a flow's first packet: for flows that conntrack knows, in their original direction, with
 * the destination that they have behind any address translation. Some microseconds each.
 */
export function verdictOfFlow(host: FlowHost, flow: KnownFlow): Verdict {
  const from = sourceSide(host, flow.source);
  const to = destinationSide(host, flow.destination, from);
  const last = traceFlow(host, { packet: flow, from, to }).at(-1)?.verdict;
  return last === undefined || last === 'log' ? 'allow' : last;
}
