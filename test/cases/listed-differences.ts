/** Policy chains as a backend lists them against those that were compiled: what of it isn't the same. */

import { hostAddresses } from '../../controller/host/host-addresses.ts';
import type { ListedChains } from '../../controller/kernel/listed-chains.ts';
import type { Assembled } from '../../controller/pass/assemble.ts';
import { changeLines, formatChangeLine } from '../../policies/flows/change-lines.ts';
import { compareChains } from '../../policies/flows/compare-chains.ts';
import { peerNames } from '../../policies/flows/peer-names.ts';
import { serviceNames } from '../../policies/flows/service-names.ts';
import { loadPolicies } from '../../policies/load-policies.ts';
import type { DesiredState } from '../../render/desired.ts';
import { isNameable } from '../../render/iptables/xt-names.ts';

/**
 * `desired`: what was rendered of the assembled state. In preview's words; empty where every flow is treated alike. NICs that
 * iptables can't name have no chain.
 */
export function listedDifferences(listed: ListedChains, desired: DesiredState, assembled: Assembled): string[] {
  const addresses = hostAddresses(assembled);
  const { sets, services } = loadPolicies(new Map());
  const names = { peers: peerNames(addresses, assembled.book, sets), services: serviceNames(services) };
  const nics = [...desired.nics].filter(([, { hostVeth }]) => isNameable(hostVeth));
  return nics.flatMap(([key, nic]) =>
    [nic.egress, nic.ingress].flatMap((own) => {
      const who = `${key} ${own.direction}`;
      const name = listed.nameFor(nic, own.direction);
      const read = name === undefined ? undefined : listed.read(name, own.direction);
      if (read === undefined) return [`${who}: ${name === undefined ? 'no chain' : 'not in our words'}`];
      return changeLines(compareChains(read, own, addresses), names).map((line) =>
        formatChangeLine(line, own.direction, who),
      );
    }),
  );
}
