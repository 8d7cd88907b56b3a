/** The facts of this host that the flow model needs: which addresses are its own, its neighbours', its containers'. */
import { rangesOfPrefixes } from '../../policies/address-book.ts';
import type { HostAddresses } from '../../policies/flows/peer-addresses.ts';
import { hostPrefix } from '../../render/address.ts';
import { ownAddresses } from '../explain/flow-sides.ts';
import type { Assembled } from '../pass/assemble.ts';

/** Containers count whether they run or not, so that a start or a stop changes no meaning. */
export function hostAddresses(host: Pick<Assembled, 'desired' | 'network' | 'book'>): HostAddresses {
  const { desired, book } = host;
  const configured = [...book.containerNames()].flatMap((name) => book.container(name) ?? []);
  const running = [...desired.nics.values()].flatMap(({ owned }) => owned);
  return {
    host: rangesOfPrefixes([...ownAddresses(host)].map(hostPrefix)),
    lan: rangesOfPrefixes(desired.host.lan),
    containers: rangesOfPrefixes([...new Set([...configured, ...running])]),
    dns: desired.dns,
  };
}
