/** What the flow model says of a packet on a host with many containers. */
import { type Decision, flowsOfChain } from '../../../policies/flows/chain-flows.ts';
import { type FlowTable, labelAt } from '../../../policies/flows/flow-table.ts';
import type { HostAddresses } from '../../../policies/flows/peer-addresses.ts';
import { termsAt } from '../../../policies/flows/terms.ts';
import type { Address } from '../../../render/address.ts';
import type { PolicyChain, Verdict } from '../../../render/rule.ts';
import type { Sender } from './bed.ts';
import type { SentPacket } from './frames.ts';

export interface Trial {
  readonly from: Sender;
  /** The container that receives it, if any. */
  readonly to: number | undefined;
  readonly packet: SentPacket;
}

export interface Chains {
  readonly egress: PolicyChain;
  readonly ingress: PolicyChain;
}

export type Judge = (trial: Trial) => Verdict;

/** `chains` by the container's index; `now` in seconds since 1970. */
export function createJudge(chains: readonly Chains[], addresses: HostAddresses, now: number): Judge {
  const tables = chains.map(({ egress, ingress }) => ({
    egress: flowsOfChain(egress, addresses),
    ingress: flowsOfChain(ingress, addresses),
  }));
  const ask = (table: FlowTable<Decision> | undefined, packet: SentPacket, peer: Address): Verdict => {
    const decision = table === undefined ? undefined : labelAt(table, packet, peer);
    // What no policy decides never passes.
    return decision === undefined ? 'drop' : termsAt(decision, now).verdict;
  };
  return ({ from, to, packet }) => {
    const sent = typeof from === 'number' ? ask(tables[from]?.egress, packet, packet.destination) : 'allow';
    return sent !== 'allow' || to === undefined ? sent : ask(tables[to]?.ingress, packet, packet.source);
  };
}
