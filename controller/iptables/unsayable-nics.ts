/** Interfaces that need what iptables can't say: they get nothing. */
import { closedPolicy } from '../../policies/compile-policy.ts';
import type { DesiredState, NicState } from '../../render/desired.ts';
import { isNameable } from '../../render/iptables/xt-names.ts';
import { unsayableRule } from '../../render/iptables/xt-policy.ts';
import type { Refusal } from '../apply/backend.ts';

/** What iptables can't say exactly isn't said at all; shut, any interface can be had. */
export function refusedNic({ nics }: DesiredState): Refusal | undefined {
  for (const nic of nics.values()) {
    const message = isShut(nic) && nic.port === undefined ? undefined : whyUnsayable(nic);
    if (message !== undefined) return { command: `"${nic.hostVeth}"`, message };
  }
  return undefined;
}

/** Why the backend can't serve this NIC; `undefined` where it can. */
export function whyUnsayable({ hostVeth, egress, ingress, nat, uplink, port }: NicState): string | undefined {
  if (!isNameable(hostVeth))
    return `iptables can't name the interface ${hostVeth}: give it another one with lxc.net.N.veth.pair`;
  if (port !== undefined)
    return `a NIC on a bridge needs nftables: with backend: iptables nothing stands between it and ${port.bridge}`;
  if (nat !== undefined)
    return 'masquerade and publish need nftables: backend: iptables has neither, so nothing passes';
  if (uplink !== undefined) return 'uplink needs nftables: backend: iptables has none, so nothing passes';
  const found = unsayableRule(egress) ?? unsayableRule(ingress);
  return found && `${found.origin.file}:${found.origin.line}: ${found.why}`;
}

const isShut = ({ egress, ingress }: NicState): boolean =>
  egress === closedPolicy.egress && ingress === closedPolicy.ingress;

/** As iptables can hold it: shut, where it can't say the rest. */
export function sayable(desired: DesiredState): DesiredState {
  const nics = [...desired.nics].flatMap(([key, nic]): [string, NicState][] => {
    if (whyUnsayable(nic) === undefined) return [[key, nic]];
    return nic.port === undefined ? [[key, { ...nic, ...closed }]] : [];
  });
  return { ...desired, nics: new Map(nics) };
}

const closed = { egress: closedPolicy.egress, ingress: closedPolicy.ingress };
