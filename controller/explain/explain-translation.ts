/** Address translation as steps of an explanation. */
import { protocolName } from '../../policies/compile-nat.ts';
import { policyPath } from '../../policies/policy-files.ts';
import type { Address, Family } from '../../render/address.ts';
import type { Origin } from '../../render/rule.ts';
import type { ExplainedRule, ExplainedStep, LineAt } from './explained-step.ts';
import type { FlowHost, Side } from './flow-sides.ts';
import type { FlowPacket } from './trace-flow.ts';
import { findMasquerade, type Published, publishedAs } from './translate-flow.ts';

export interface Translation {
  /** Where it was sent to a published port: where that leads. */
  readonly destination?: Address;
  readonly port?: number;
  /** Where it is masqueraded: what it leaves with; `null` where that depends on the uplink that it takes. */
  readonly source?: Address | null;
  /** Where it was sent to the container itself: the ports of the host that lead there too. */
  readonly publishedAs?: readonly { readonly on: Address; readonly port: number }[];
}

interface Translated {
  /** As the sender wrote it, and as the rules see it. */
  readonly asked: FlowPacket;
  readonly packet: FlowPacket;
  readonly from: Side;
  readonly to: Side;
  readonly published: Published | undefined;
  readonly lineAt: LineAt;
}

/** In the order of the kernel: anti-spoofing, published ports, policies, masquerade. */
export function withTranslation(
  host: FlowHost,
  steps: readonly ExplainedStep[],
  flow: Translated,
): { readonly steps: readonly ExplainedStep[]; readonly translation?: Translation } {
  const [head, rest] = splitBehindSpoofing(steps);
  const isRefused = head.some(({ verdict }) => verdict === 'drop');
  const before = isRefused ? undefined : (publishedStep(flow) ?? namesakes(flow));
  const after = steps.some(({ verdict }) => verdict === 'drop' || verdict === 'reject')
    ? undefined
    : masqueradeStep(host, flow);
  const translation = { ...before?.translation, ...after?.translation };
  return {
    steps: [
      ...head,
      ...(before === undefined ? [] : [before.step]),
      ...rest,
      ...(after === undefined ? [] : [after.step]),
    ],
    ...(Object.keys(translation).length === 0 ? {} : { translation }),
  };
}

interface Part {
  readonly step: ExplainedStep;
  readonly translation: Translation;
}

function splitBehindSpoofing(steps: readonly ExplainedStep[]): [readonly ExplainedStep[], readonly ExplainedStep[]] {
  const isBefore = ({ at }: ExplainedStep): boolean => /^(anti-spoofing of |the guard$)/.test(at);
  const first = steps.findIndex((step) => !isBefore(step));
  return first < 0 ? [steps, []] : [steps.slice(0, first), steps.slice(first)];
}

function publishedStep({ asked, packet, published, lineAt }: Translated): Part | undefined {
  if (published === undefined) return undefined;
  const { publication, nic, port } = published;
  const word = protocolName(publication.protocol);
  const note = `${asked.destination} ${word}/${asked.port} leads to ${packet.destination} ${word}/${port}`;
  return {
    step: {
      at: `published by ${nic.container}`,
      verdict: 'allow',
      rule: ruleAt(publication.origin, lineAt, note),
      note,
    },
    translation: { destination: publication.to, port },
  };
}

/** A flow to the container itself needs none of it, and its administrator may want to know. */
function namesakes({ packet, to, lineAt }: Translated): Part | undefined {
  if (to.kind !== 'nic') return undefined;
  const ports = publishedAs(to.nic, packet);
  const [first] = ports;
  if (first === undefined) return undefined;
  const word = packet.protocol === 6 || packet.protocol === 17 || packet.protocol === 132 ? packet.protocol : 6;
  const note = `also reached by ${ports.map(({ on, port }) => `${on} ${protocolName(word)}/${port}`).join(', ')}`;
  return {
    step: { at: `published by ${to.nic.container}`, verdict: 'log', rule: ruleAt(first.origin, lineAt, note), note },
    translation: { publishedAs: ports.map(({ on, port }) => ({ on, port })) },
  };
}

function masqueradeStep(host: FlowHost, { packet, from, to }: Translated): Part | undefined {
  const family: Family = packet.family;
  const found = findMasquerade(host, { from, to, family });
  if (found === undefined || from.kind !== 'nic') return undefined;
  const { address } = found;
  const note = `it leaves as ${address ?? 'the address of the uplink that it takes'}`;
  return {
    step: { at: `masquerade of ${from.nic.container}`, verdict: 'allow', rule: null, note },
    translation: { source: address ?? null },
  };
}

function ruleAt({ file, line }: Origin, lineAt: LineAt, words: string): ExplainedRule {
  const path = policyPath(file);
  return { file: path, line, text: lineAt(path, line)?.trim() || words };
}
