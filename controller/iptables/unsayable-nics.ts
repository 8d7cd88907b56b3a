/** Interfaces that need what iptables can't say: they get nothing. */
import { closedPolicy } from '../../policies/compile-policy.ts';
import type { HostConfig } from '../../policies/config.ts';
import type { DesiredState, NicState } from '../../render/desired.ts';
import { isNameable } from '../../render/iptables/xt-names.ts';
import { unsayableRule } from '../../render/iptables/xt-policy.ts';
import type { Holdable } from '../apply/backend.ts';
import { unnameable } from './backend-problems.ts';

/** Why the backend can't serve this NIC; `undefined` where it can. */
function whyUnsayable({ hostVeth, egress, ingress, nat, uplink, port }: NicState): string | undefined {
  if (!isNameable(hostVeth)) return unnameable(hostVeth);
  if (port !== undefined)
    return `a NIC on a bridge needs nftables: with backend: iptables nothing stands between it and ${port.bridge}`;
  if (nat !== undefined)
    return 'masquerade and publish need nftables: backend: iptables has neither, so nothing passes';
  if (uplink !== undefined) return 'uplink needs nftables: backend: iptables has none, so nothing passes';
  const found = unsayableRule(egress) ?? unsayableRule(ingress);
  return found && `${found.origin.file}:${found.origin.line}: ${found.why}: nothing passes`;
}

const isShut = ({ egress, ingress }: NicState): boolean =>
  egress === closedPolicy.egress && ingress === closedPolicy.ingress;

/** What iptables can't say exactly isn't said at all; shut, any interface can be had but for one on a bridge. */
export function holdByXt(desired: DesiredState): Holdable {
  const unheld = new Map<string, string>();
  const nics = new Map<string, NicState>();
  for (const [key, nic] of desired.nics) {
    const why = isShut(nic) && nic.port === undefined ? undefined : whyUnsayable(nic);
    if (why !== undefined) unheld.set(key, why);
    if (why === undefined) nics.set(key, nic);
    else if (nic.port === undefined) nics.set(key, shut(nic));
  }
  return { state: unheld.size === 0 ? desired : { ...desired, nics }, unheld };
}

/** What the host's backend can hold; `auto`: it wasn't asked, and nftables holds all. */
export const heldBy = (backend: HostConfig['backend'], desired: DesiredState): Holdable =>
  backend === 'iptables' ? holdByXt(desired) : { state: desired, unheld: new Map() };

/** The same NIC is the same each time, so that nothing looks changed that isn't. */
const shutNics = new WeakMap<NicState, NicState>();

function shut(nic: NicState): NicState {
  const known = shutNics.get(nic) ?? { ...nic, egress: closedPolicy.egress, ingress: closedPolicy.ingress };
  shutNics.set(nic, known);
  return known;
}
