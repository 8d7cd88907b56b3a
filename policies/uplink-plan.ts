/** Which table each container's uplink is, which of them the kernel needs now, and what is wrong with one. */
import { familyOf, isHostPrefix, networkOf, type Prefix } from '../render/address.ts';
import type { HostState, NicState } from '../render/desired.ts';
import type { UplinkChoice } from './compile-uplink.ts';
import { type HostLink, type HostNetwork, isOnLink, onLinkDevice } from './host-network.ts';
import type { Severity } from './problem.ts';
import {
  assignTables,
  choiceKey,
  FAMILIES,
  MAIN,
  NO_FACTS,
  nextHop,
  uplinkParties,
  uplinkTable,
} from './uplink-facts.ts';

export interface UplinkPlan {
  /** `undefined`: all are taken, and the container stays shut. */
  tableOf(choice: UplinkChoice): number | undefined;
  /** Of what runs. */
  tablesFor(nics: Iterable<NicState>): HostState['uplinkTables'];
}

export const NO_UPLINKS: UplinkPlan = { tableOf: () => undefined, tablesFor: () => undefined };

/** `choices`: of all policies, running or not, so that a start moves nobody's table. */
export function planUplinks(choices: readonly UplinkChoice[], network: HostNetwork): UplinkPlan {
  if (choices.length === 0) return NO_UPLINKS;
  const facts = network.uplinkFacts ?? NO_FACTS;
  const parties = uplinkParties(choices, network.uplinks, facts);
  const tables = assignTables(parties.keys(), facts.taken);
  return {
    tableOf: (choice) => tables.get(choiceKey(choice)),
    tablesFor: (nics) => {
      const routed = [...nics].filter(({ uplink }) => uplink !== undefined);
      if (routed.length === 0) return undefined;
      const inUse = new Set(routed.map(({ uplink }) => uplink?.table));
      const spoken = FAMILIES.filter((family) => routed.some(({ owned }) => owned.some((p) => familyOf(p) === family)));
      return (
        [...parties]
          // A flow to a container may come in by each of the host's uplinks, and is answered there.
          .filter(([key, { dev }]) => (key === dev && network.uplinks.includes(dev)) || inUse.has(tables.get(key)))
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .flatMap(([key, party]) => {
            const table = tables.get(key);
            return table === undefined ? [] : [uplinkTable(party, table, spoken, facts)];
          })
      );
    },
  };
}

export interface UplinkFinding {
  readonly message: string;
  readonly severity: Severity;
}

/** What keeps traffic of these prefixes from the uplink; meanwhile it is refused, and never leaves by another. */
export function uplinkFindings(
  choice: UplinkChoice,
  prefixes: readonly Prefix[],
  network: HostNetwork,
): UplinkFinding[] {
  const { dev, gateways } = choice;
  const facts = network.uplinkFacts ?? NO_FACTS;
  const error = (message: string): UplinkFinding[] => [{ message: `uplink ${dev} ${message}`, severity: 'error' }];
  const warning = (message: string): UplinkFinding[] => [{ message: `uplink ${dev} ${message}`, severity: 'warning' }];
  const link = network.links.get(dev);
  if (link === undefined) return error('is not there: until it comes, nothing of this container goes out');
  if (link.down === true) return error(`is down: nothing of this container goes out; ip link set dev ${dev} up`);
  if (link.noCarrier === true) return error('has no carrier: nothing of this container goes out');
  if (!network.uplinks.includes(dev)) return error(whyNoUplink(link, network));
  const families = [...new Set(prefixes.map(familyOf))].sort();
  const lost = families.filter(
    (family) => !gateways.some((each) => familyOf(each) === family) && nextHop(facts, dev, family) === undefined,
  );
  const elsewhere = prefixes.filter((prefix) => {
    const on = onLinkDevice(network, networkOf(prefix));
    return on !== undefined && on !== dev && !isOnLink(network, dev, prefix);
  });
  return [
    ...lost.flatMap((family) =>
      warning(
        `has no IPv${family} default route in any table: beyond its link nothing is reached; add gateway: ADDRESS`,
      ),
    ),
    ...(families.includes(4) && facts.strict.has(dev) && !isMainDefault(network, dev)
      ? warning(`drops answers that the host would not send by it: sysctl -w net.ipv4.conf.${dev}.rp_filter=2`)
      : []),
    ...elsewhere.flatMap((prefix) =>
      warning(
        `is not where neighbours look for ${isHostPrefix(prefix) ? networkOf(prefix) : prefix}: it lies on ${onLinkDevice(network, networkOf(prefix))}, where nobody answers for it`,
      ),
    ),
  ];
}

function whyNoUplink({ addresses }: HostLink, { uplinks }: HostNetwork): string {
  // As until DHCP has given it one.
  if (!addresses.some(({ scope }) => scope === 'global'))
    return 'has no address: until it has one, or "uplinks" in routewall.yaml names it, nothing of this container goes out';
  const now = uplinks.length === 0 ? 'none' : uplinks.join(', ');
  return `is no uplink of this host: add it to "uplinks" in routewall.yaml (now: ${now})`;
}

/** Whether the host's own best IPv4 default route leaves by it: then a strict filter passes what comes in by it. */
function isMainDefault({ uplinkFacts = NO_FACTS }: HostNetwork, dev: string): boolean {
  const main = uplinkFacts.defaults.filter(({ table, via }) => table === MAIN && familyOf(via) === 4);
  const best = Math.min(...main.map(({ metric }) => metric));
  return main.some((route) => route.metric === best && route.dev === dev);
}
